//! Which provider is asked how over HTTP.

use std::sync::Arc;

use cutover_model::Provider;
use cutover_ports::{Clock, PortError};
use serde_json::Value;

use crate::http::{Http, Resolve, Secrets, json};
use crate::{cloud_watch, datadog, failed, graphite, influxdb, new_relic, prometheus, web};

/// Asks providers over HTTP and HTTPS, without a proxy or a redirect in between.
pub struct HttpQueries {
    http: Http,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for HttpQueries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpQueries").finish_non_exhaustive()
    }
}

impl HttpQueries {
    /// A source that looks references up with `resolve`, and asks about the time up to now by `clock`.
    #[must_use]
    pub fn new(resolve: Arc<Resolve>, clock: Arc<dyn Clock>) -> Self {
        Self {
            http: Http::new(resolve),
            clock,
        }
    }

    /// The result of one query.
    ///
    /// # Errors
    /// When the provider cannot be asked, answers something else, or is not one that is asked over HTTP.
    pub async fn ask(&self, provider: &Provider) -> Result<Value, PortError> {
        let (http, now) = (&self.http, self.clock.now());
        let mut secrets = Secrets::default();
        match provider {
            Provider::Prometheus(one) => {
                let grid = prometheus::Grid::of(one, now);
                let request = prometheus::request(one, grid);
                http.ask(request, secrets, |body| prometheus::result(&json(body)?, grid))
                    .await
            }
            Provider::Web(one) => {
                let read = |body: &[u8]| Ok(web::result(json(body)?, one.path.as_deref()));
                http.ask(web::request(one), secrets, read).await
            }
            Provider::Graphite(one) => {
                let request = graphite::request(one);
                http.ask(request, secrets, |body| graphite::result(&json(body)?))
                    .await
            }
            Provider::InfluxDb(one) => http.ask(influxdb::request(one), secrets, influxdb::result).await,
            Provider::Datadog(one) => {
                let request = datadog::request(one, now);
                http.ask(request, secrets, |body| datadog::result(&json(body)?))
                    .await
            }
            Provider::NewRelic(one) => {
                let request = new_relic::request(one);
                http.ask(request, secrets, |body| new_relic::result(&json(body)?))
                    .await
            }
            Provider::CloudWatch(one) => {
                let keys = cloud_watch::keys(one, |text| http.look_up(text, &mut secrets))?;
                let request = cloud_watch::request(one, &keys, now)?;
                http.ask(request, secrets, |body| cloud_watch::result(&json(body)?))
                    .await
            }
            other => Err(failed(other.name(), "not over HTTP")),
        }
    }
}

//! The files that routes name: certificates are found and fit together before anything is moved, paths begin beside
//! `cutover.yaml`.

use std::path::Path;

use cutover_model::Diagnostic;
use cutover_proxy::check_certificates;
use cutover_spec::{Application, Router};

/// Makes the paths independent of where somebody stands, and says what cannot be used.
///
/// # Errors
/// One for each service whose certificates cannot be served.
pub(crate) fn settle(application: &mut Application, folder: &Path) -> Result<(), Vec<Diagnostic>> {
    let mut wrong = Vec::new();
    for (name, service) in &mut application.services {
        let Some(Router::Proxy(proxy)) = &mut service.router else {
            continue;
        };
        if let Some(log) = &mut proxy.routing.access_log {
            log.path = absolute(folder, &log.path);
        }
        let Some(tls) = &mut proxy.routing.tls else {
            continue;
        };
        for one in &mut tls.certificates {
            for path in [&mut one.certificate, &mut one.key] {
                *path = absolute(folder, path);
            }
        }
        if let Err(error) = check_certificates(tls) {
            let message = format!("{name} cannot serve TLS: {error}");
            let names = tls
                .certificates
                .iter()
                .map(|one| format!("{} {}", one.certificate, one.key));
            let files = names.collect::<Vec<_>>().join(" ");
            wrong.push(Diagnostic::error("release.certificate", message).help(format!("ls -l {files}")));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn absolute(folder: &Path, path: &str) -> String {
    let joined = folder.join(path);
    let whole = std::path::absolute(&joined).unwrap_or(joined);
    whole.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_beside_the_file_that_names_them_and_must_be_there() {
        let text = "apiVersion: cutover/v1\napplication: shop\nservices:\n  api:\n    target: {process: {command: [./api], ports: 21000-21009}}\n    \
            router: {proxy: {listen: '127.0.0.1:8443', routing: {tls: {certificates: [{certificate: a.crt, key: /k/a.key}]}}}}\n";
        let mut application = cutover_spec::parse("cutover.yaml", text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let wrong = settle(&mut application, folder.path()).unwrap_err();
        assert_eq!((wrong.len(), wrong[0].code.as_str()), (1, "release.certificate"));
        assert!(wrong[0].message.contains("a.crt"), "{}", wrong[0].message);
        let Some(Router::Proxy(proxy)) = &application.services.values().next().unwrap().router else {
            panic!("no router");
        };
        let one = &proxy.routing.tls.as_ref().unwrap().certificates[0];
        assert_eq!(one.certificate, folder.path().join("a.crt").display().to_string());
        assert_eq!(one.key, "/k/a.key");
    }
}

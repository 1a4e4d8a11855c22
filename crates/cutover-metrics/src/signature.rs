//! AWS's Signature Version 4
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>), for POSTs without a
//! query. AWS's own crate for it brings the runtime of its SDK along, a dozen crates for these few lines.

use cutover_model::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Url;
use sha2::{Digest as _, Sha256};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Whose signature it is. It has no `Debug`: these are secrets.
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// Of keys that are only lent.
    pub(crate) token: Option<String>,
}

/// The fields that sign a POST of `body` with these `fields` (names in small letters), to be sent beside them.
pub(crate) fn headers(
    keys: &Keys,
    (region, service): (&str, &str),
    now: Timestamp,
    url: &Url,
    fields: &[(&'static str, String)],
    body: &str,
) -> Vec<(&'static str, String)> {
    let moment = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let day = now.strftime("%Y%m%d").to_string();
    let mut added = vec![("x-amz-date", moment.clone())];
    if let Some(token) = &keys.token {
        added.push(("x-amz-security-token", token.clone()));
    }
    let host = match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let mut signed: Vec<(&str, &str)> = vec![("host", &host)];
    signed.extend(
        fields
            .iter()
            .chain(&added)
            .map(|(name, value)| (*name, value.trim())),
    );
    signed.sort_unstable();
    let lines: String = signed
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let request = format!(
        "POST\n{}\n\n{lines}\n{names}\n{}",
        url.path(),
        hex(&Sha256::digest(body))
    );
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text = format!(
        "{ALGORITHM}\n{moment}\n{scope}\n{}",
        hex(&Sha256::digest(request))
    );
    let first = format!("AWS4{}", keys.secret).into_bytes();
    let key = [&day, region, service, "aws4_request"]
        .iter()
        .fold(first, |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &text));
    added.push((
        "authorization",
        format!(
            "{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            keys.id
        ),
    ));
    added
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

    /// AWS's published test suite (`aws-sig-v4-test-suite`), its POSTs without a query.
    #[test]
    fn signatures_are_those_of_the_test_suite() {
        let form = [("content-type", "application/x-www-form-urlencoded".to_owned())];
        let value = [("my-header1", "value1".to_owned())];
        let upper = [("my-header1", "VALUE1".to_owned())];
        let url: Url = "https://example.amazonaws.com/".parse().unwrap();
        for (name, fields, token, body, signed, signature) in [
            (
                "post-vanilla",
                &[][..],
                None,
                "",
                "host;x-amz-date",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            (
                "post-x-www-form-urlencoded",
                &form,
                None,
                "Param1=value1",
                "content-type;host;x-amz-date",
                "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
            ),
            (
                "post-header-key-case",
                &value,
                None,
                "",
                "host;my-header1;x-amz-date",
                "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
            ),
            (
                "post-header-value-case",
                &upper,
                None,
                "",
                "host;my-header1;x-amz-date",
                "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
            ),
            (
                "post-sts-header-before",
                &[],
                Some(TOKEN),
                "",
                "host;x-amz-date;x-amz-security-token",
                "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
            ),
        ] {
            let keys = Keys {
                id: "AKIDEXAMPLE".to_owned(),
                secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
                token: token.map(str::to_owned),
            };
            let now = "2015-08-30T12:36:00Z".parse().unwrap();
            let found = headers(&keys, ("us-east-1", "service"), now, &url, fields, body);
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={signed}, Signature={signature}"
            );
            assert_eq!(found.first().unwrap().1, "20150830T123600Z", "{name}");
            assert_eq!(found.last(), Some(&("authorization", expected)), "{name}");
            assert_eq!(found.len(), if token.is_some() { 3 } else { 2 }, "{name}");
        }
    }
}

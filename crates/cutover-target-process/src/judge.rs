//! What an answer to a probe means.

use cutover_spec::Degraded;
use serde::Deserialize;

#[derive(Deserialize)]
struct Body {
    status: String,
}

/// `Ok` if the answer passes, otherwise why not: a status from 200 to 399 passes; a JSON body with a textual `status`
/// must say `healthy`, `ok` or `UP` besides (in any case of letters), or `degraded` where that counts as ready.
pub(crate) fn judge(code: u16, body: &[u8], degraded: Degraded) -> Result<(), String> {
    if !(200..400).contains(&code) {
        return Err(format!("answered {code}"));
    }
    // A body that is no JSON object, or has a `status` that is no text, says nothing by itself.
    let Ok(Body { status }) = serde_json::from_slice(body) else {
        return Ok(());
    };
    if ["healthy", "ok", "up"]
        .iter()
        .any(|good| status.eq_ignore_ascii_case(good))
    {
        return Ok(());
    }
    if status.eq_ignore_ascii_case("degraded") && degraded == Degraded::Ready {
        return Ok(());
    }
    let shown: String = status.chars().take(40).collect();
    Err(format!("answered {code} with status `{shown}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_code_and_body_both_count() {
        let ok = |code, body: &str| judge(code, body.as_bytes(), Degraded::Ready).is_ok();
        for body in [
            "",
            "hello",
            "[]",
            "{}",
            r#"{"status":200}"#,
            r#"{"status":"UP"}"#,
            r#"{"status":"ok","database":"down"}"#,
            r#"{"status":"healthy"}"#,
            r#"{"status":"degraded"}"#,
        ] {
            assert!(ok(200, body), "{body}");
            assert!(!ok(503, body), "{body}");
        }
        assert!(ok(302, "") && !ok(404, "") && !ok(199, ""));
        for body in [
            r#"{"status":"unhealthy"}"#,
            r#"{"status":"DOWN"}"#,
            r#"{"status":""}"#,
        ] {
            assert!(!ok(200, body), "{body}");
        }
        assert_eq!(
            judge(200, br#"{"status":"degraded"}"#, Degraded::NotReady),
            Err("answered 200 with status `degraded`".to_owned())
        );
    }
}

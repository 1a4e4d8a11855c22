//! The nearest valid spelling of what was written.

/// The candidate that was probably meant, if any is near enough.
///
/// Upper and lower case, `_` and `-` do not count, so that `set_weight` finds `setWeight`; a word that begins with a
/// candidate or the other way round is near, so that `minReadySeconds` finds `minReady` and `env` finds
/// `environment`; else a typing error for every three letters is forgiven.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bare = bare(written);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = self::bare(candidate);
            let distance = strsim::damerau_levenshtein(&bare, &other);
            let allowed = bare.len().min(other.len()).div_ceil(3);
            if distance <= allowed {
                Some((distance, candidate))
            } else if bare.len().min(other.len()) >= 3
                && (bare.starts_with(&other) || other.starts_with(&bare))
            {
                Some((allowed + 1, candidate))
            } else {
                None
            }
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean …?" for the nearest candidate, else all of them while they are few.
pub(crate) fn suggestion(written: &str, candidates: &[&str]) -> Option<String> {
    if let Some(near) = nearest(written, candidates.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    (1..=12)
        .contains(&candidates.len())
        .then(|| format!("known: {}", listed(candidates)))
}

/// `a`, `b`, `c`.
pub(crate) fn listed(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

fn bare(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_found() {
        let keys = ["setWeight", "pause", "analysis", "setCanaryScale"];
        for (written, meant) in [
            ("setWeigth", Some("setWeight")),
            ("set_weight", Some("setWeight")),
            ("weight", None),
            ("Pause", Some("pause")),
            ("pauseSeconds", Some("pause")),
            ("xyz", None),
        ] {
            assert_eq!(nearest(written, keys), meant, "{written}");
        }
        assert_eq!(nearest("env", ["environment"]), Some("environment"));
        assert_eq!(nearest("minReadySeconds", ["minReady", "path"]), Some("minReady"));
    }
}

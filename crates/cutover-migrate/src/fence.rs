//! Who may write to a database: the store id and generation in its `cutover_meta`.

use cutover_model::{Diagnostic, Fence, Generation, StoreId, Version};
use cutover_ports::PortError;

/// The format of the tables; a newer one is not touched.
pub(crate) const FORMAT: u64 = 1;

/// The single row of `cutover_meta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) format: u64,
    pub(crate) store: StoreId,
    pub(crate) generation: Generation,
    pub(crate) retired_below: Option<Version>,
}

/// What the row must be for this writer to go on; none when it is so already.
pub(crate) fn claim(what: &str, found: Option<&Meta>, fence: &Fence) -> Result<Option<Meta>, PortError> {
    let Some(meta) = found else {
        return Ok(Some(Meta {
            format: FORMAT,
            store: fence.store.clone(),
            generation: fence.generation,
            retired_below: None,
        }));
    };
    readable(what, meta)?;
    if meta.store != fence.store {
        return Err(PortError::refused(
            Diagnostic::error("fence.stale", format!("{what} belongs to another store"))
                .note("store", meta.store.to_string())
                .note("this one", fence.store.to_string())
                .help("cutover upgrade VERSION --adopt"),
        ));
    }
    if meta.generation > fence.generation {
        return Err(PortError::stale(what));
    }
    Ok((meta.generation < fence.generation).then(|| Meta {
        generation: fence.generation,
        ..meta.clone()
    }))
}

pub(crate) fn readable(what: &str, meta: &Meta) -> Result<(), PortError> {
    if meta.format <= FORMAT {
        return Ok(());
    }
    Err(PortError::refused(
        Diagnostic::error(
            "migrate.newer-format",
            format!(
                "the history in {what} has format {}, this version of cutover knows up to {FORMAT}",
                meta.format
            ),
        )
        .help("cutover --version"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(store: &str, generation: u64) -> Meta {
        Meta {
            format: FORMAT,
            store: StoreId::new(store),
            generation: Generation(generation),
            retired_below: Some(Version::new(1, 0, 0)),
        }
    }

    #[test]
    fn only_the_newest_generation_of_the_same_store_writes() {
        let fence = Fence {
            store: StoreId::new("a"),
            generation: Generation(5),
        };
        assert!(claim("x", None, &fence).unwrap().is_some());
        assert_eq!(claim("x", Some(&meta("a", 5)), &fence), Ok(None));
        let newer = claim("x", Some(&meta("a", 4)), &fence).unwrap().unwrap();
        assert_eq!(newer, meta("a", 5));
        assert!(claim("x", Some(&meta("a", 6)), &fence).unwrap_err().is_stale());
        assert!(claim("x", Some(&meta("b", 1)), &fence).unwrap_err().is_stale());
        let mut future = meta("a", 1);
        future.format = 2;
        assert_eq!(
            claim("x", Some(&future), &fence).unwrap_err().diagnostic.code,
            "migrate.newer-format"
        );
    }
}

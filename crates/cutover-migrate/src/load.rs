//! From files to migrations, with everything that is wrong with them at once.
//!
//! Each file is read by itself, so that what is wrong with one is no reason to know nothing of the others.

mod directive;
mod names;
mod numbers;
mod sifted;
mod theirs;

use std::collections::BTreeMap;

use cutover_model::{DatabaseName, Diagnostic, Digest, Location, Migration, MigrationId, MigrationPhase};
use cutover_spec::StoredFile;
use cutover_sql::{
    Dialect, Header, SplitProblem, Sync, controls_transaction, header, lacks_data, locate, normalised,
    sends_rows, split,
};

use crate::derive::Before;
use crate::folder::{JSON, in_threads, is_migration};
use crate::{MigrationFile, Script, Unread, sessions, weave};

pub(crate) use names::file_name;
use names::{Taken, bad_name};
use numbers::check_numbers;
pub use sifted::{Faulty, Sifted};
pub(crate) use theirs::IF_THEIRS;

/// Reads the migrations of a database from its files, in order. Of MongoDB they end in `.json`, of others in `.sql`; what ends in
/// neither is not looked at.
///
/// # Errors
/// Everything that is wrong, each with its code, its place and what to do.
pub fn from_files(
    database: &DatabaseName,
    files: &[StoredFile],
    dialect: Dialect,
) -> Result<Vec<MigrationFile>, Vec<Diagnostic>> {
    sift(database, files, &[], dialect).whole()
}

/// Reads the migrations of a database from its files as [`from_files`] does, and answers both those that are sound and what is
/// wrong with the others. `unread` are the files of the folder that could not be read: no file counts as missing because of that.
#[must_use]
pub fn sift(database: &DatabaseName, files: &[StoredFile], unread: &[Unread], dialect: Dialect) -> Sifted {
    let mut out = Sifted::default();
    let pairs = paired(files, unread, dialect, &mut out.wrong);
    check_numbers(&pairs, &mut out.wrong);
    let mut syncs = Vec::new();
    let mut before = Before::new(dialect);
    let pairs: Vec<_> = pairs.into_iter().collect();
    let parsed = in_threads(&pairs, |pairs| {
        let parsed = pairs.iter().map(|(_, pair)| Parsed::of(pair, dialect));
        parsed.collect::<Vec<_>>()
    });
    let parsed: Vec<Parsed> = parsed.into_iter().flatten().collect();
    let adopted = theirs::adopted(pairs.iter().map(|(id, _)| id).zip(&parsed));
    for ((id, pair), mut parsed) in pairs.into_iter().zip(parsed) {
        if let Some((header, _)) = parsed.up.as_mut().filter(|_| Some(id.number) <= adopted) {
            theirs::excuse(header, pair.down.is_some());
        }
        let mut faulty = Faulty::of(id.clone(), parsed.up.as_ref().map(|(header, _)| header));
        let found = match pair.up {
            // What one of its files says is not known.
            _ if pair.unread.is_some() => Err(parsed.errors),
            None => Err(vec![up_missing(&id, pair.name())]),
            Some(up) => read(database, id, up, pair.down.is_some(), parsed, &mut before, &syncs),
        };
        if let Some(up) = pair.up {
            before.push(&up.text);
        }
        match found {
            Ok(file) if pair.wrong.is_empty() => {
                syncs.extend(file.syncs.iter().cloned());
                out.sound.push(file);
            }
            found => {
                faulty.wrong = pair.wrong;
                faulty.wrong.extend(found.err().into_iter().flatten());
                out.faulty.push(faulty);
            }
        }
    }
    out
}

/// The two files of each migration, by what their names say.
fn paired<'a>(
    files: &'a [StoredFile],
    unread: &'a [Unread],
    dialect: Dialect,
    wrong: &mut Vec<Diagnostic>,
) -> BTreeMap<MigrationId, Pair<'a>> {
    let mut pairs: BTreeMap<MigrationId, Pair<'a>> = BTreeMap::new();
    let mut misnamed = Vec::new();
    let is_looked_at = |file: &&StoredFile| is_migration(&file.name) || file.name.ends_with(JSON);
    for file in files.iter().filter(is_looked_at) {
        let Some((id, is_up)) = file_name(&file.name, dialect) else {
            misnamed.push(file.name.as_str());
            continue;
        };
        let pair = pairs.entry(id).or_default();
        let side = if is_up { &mut pair.up } else { &mut pair.down };
        if let Some(other) = side.replace(file) {
            pair.wrong.push(
                Diagnostic::error(
                    "migrate.duplicate-number",
                    format!("{} and {} are the same migration", other.name, file.name),
                )
                .at(locate(&file.name, "", 0, 0))
                .help("cutover migrate validate"),
            );
        }
    }
    for one in unread {
        match file_name(&one.name, dialect) {
            Some((id, _)) => {
                let pair = pairs.entry(id).or_default();
                pair.unread = Some(&one.name);
                pair.wrong.push(one.wrong.clone());
            }
            None => wrong.push(one.wrong.clone()),
        }
    }
    if misnamed.is_empty() {
        return pairs;
    }
    let unread = unread.iter().map(|one| one.name.as_str());
    let mut taken = Taken::of(files.iter().map(|file| file.name.as_str()).chain(unread));
    for name in misnamed {
        let (found, id) = bad_name(name, dialect, &mut taken);
        match id {
            // It is there, so it leaves no gap, and what it belongs to is not complete without it.
            Some(id) => {
                let pair = pairs.entry(id).or_default();
                pair.unread = Some(name);
                pair.wrong.push(found);
            }
            None => wrong.push(found),
        }
    }
    pairs
}

fn up_missing(id: &MigrationId, down: &str) -> Diagnostic {
    Diagnostic::error(
        "migrate.up-missing",
        format!("{id} has a down file but no up file"),
    )
    .at(locate(down, "", 0, 0))
    .help(format!("cutover migrate new {} --release VERSION", id.name))
}

/// What can be read of a pair by itself, without those before it.
struct Parsed {
    up: Option<(Header, Script)>,
    down: Option<Script>,
    /// The up file's text without what does not count.
    normal: String,
    raw_checksum: Digest,
    errors: Vec<Diagnostic>,
}

impl Parsed {
    fn of(pair: &Pair<'_>, dialect: Dialect) -> Self {
        let mut errors = Vec::new();
        let text = pair.up.map_or("", |up| &up.text);
        let up = pair.up.and_then(|file| script(file, dialect, &mut errors));
        errors.extend(pair.up.and_then(|file| theirs::both_ways(file, dialect)));
        let down = pair.down.and_then(|file| script(file, dialect, &mut errors));
        Self {
            up,
            down: down.map(|(_, script)| script),
            normal: normalised(dialect, text).unwrap_or_else(|_| text.to_owned()),
            raw_checksum: Digest::of(text.as_bytes()),
            errors,
        }
    }
}

#[derive(Default)]
struct Pair<'a> {
    up: Option<&'a StoredFile>,
    down: Option<&'a StoredFile>,
    /// The name of one whose text does not count: it could not be read, or is called wrongly.
    unread: Option<&'a str>,
    /// What is wrong with the two beside their texts.
    wrong: Vec<Diagnostic>,
}

impl Pair<'_> {
    fn name(&self) -> &str {
        let read = self.up.or(self.down).map(|file| file.name.as_str());
        read.or(self.unread).unwrap_or_default()
    }

    fn is_flyway(&self) -> bool {
        self.name().starts_with(['V', 'U'])
    }

    fn extension(&self) -> &str {
        self.name()
            .rsplit_once('.')
            .map_or("", |(_, extension)| extension)
    }
}

fn read(
    database: &DatabaseName,
    mut id: MigrationId,
    up: &StoredFile,
    has_down: bool,
    parsed: Parsed,
    before: &mut Before<'_>,
    syncs: &[Sync],
) -> Result<MigrationFile, Vec<Diagnostic>> {
    let dialect = before.dialect();
    let Parsed {
        up: parsed_up,
        down: mut down_script,
        mut normal,
        raw_checksum,
        mut errors,
    } = parsed;
    let Some((mut header, mut up_script)) = parsed_up else {
        return Err(errors);
    };
    if id.is_repeatable() {
        header.phase.get_or_insert(MigrationPhase::Expand);
    } else if header.phase.is_none() {
        match before.phase(up, &header) {
            Ok(phase) => header.phase = Some(phase),
            Err(found) => errors.push(*found),
        }
    }
    let woven = weave::weave(
        dialect,
        &header,
        syncs,
        &mut up_script,
        down_script.as_mut(),
        &mut errors,
    );
    check_header(dialect, &id, up, &header, has_down, &mut errors);
    if up_script.statements.is_empty() {
        errors.push(
            Diagnostic::error(
                "migrate.empty",
                format!("{} holds no {}", up.name, one_of(dialect)),
            )
            .at(locate(&up.name, &up.text, 0, 1))
            .help("cutover migrate validate"),
        );
    }
    let Some(phase) = header.phase else {
        return Err(errors);
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    normal.push_str(&weave::checksum_text(&header));
    let checksum = Digest::of(normal.as_bytes());
    if id.is_repeatable() {
        id.name = format!("{}.{}", id.name, checksum.short());
    }
    Ok(MigrationFile {
        migration: Migration {
            id,
            database: database.clone(),
            phase,
            retires: header.retires,
            transaction: header.transaction,
            checksum,
            verify: header.verify.or(woven.verify),
            irreversible: header.irreversible,
            summary: header.summary,
            reshapes: dialect == Dialect::Postgres && !sessions::reshaped(dialect, &up_script).is_empty(),
            runner: None,
        },
        raw_checksum,
        prechecks: header.prechecks,
        up: up_script,
        down: down_script,
        syncs: woven.syncs,
        ended: woven.ended,
        batched: woven.batched,
    })
}

fn check_header(
    dialect: Dialect,
    id: &MigrationId,
    up: &StoredFile,
    header: &Header,
    has_down: bool,
    errors: &mut Vec<Diagnostic>,
) {
    let top = || locate(&up.name, &up.text, 0, up.text.len());
    if let Some(range) = &header.unreviewed {
        errors.push(
            Diagnostic::error(
                "migrate.unreviewed",
                format!("{} was written by Cutover, and nobody has reviewed it", up.name),
            )
            .at(locate(&up.name, &up.text, range.start, range.len()))
            .label(format!(
                "read both files, mend what is wrong, and write {}",
                reviewed(dialect)
            ))
            .help("cutover migrate validate"),
        );
    }
    if id.is_repeatable() {
        check_repeatable(up, header, top(), errors);
        return;
    }
    let is_contract = header.phase == Some(MigrationPhase::Contract);
    if is_contract && header.retires.is_none() {
        errors.push(retires_missing(dialect, up));
    }
    if !is_contract && header.phase.is_some() && header.retires.is_some() {
        errors.push(
            Diagnostic::error(
                "migrate.retires-without-contract",
                format!("{} retires a version but is no contract", up.name),
            )
            .at(top())
            .label("only phase=contract retires versions")
            .help("cutover migrate validate"),
        );
    }
    match (has_down, &header.irreversible) {
        (false, None) => {
            let found = Diagnostic::error(
                "migrate.down-missing",
                format!("{id} has an up file but no down file"),
            )
            .at(locate(&up.name, &up.text, 0, 1))
            .label(format!(
                "write {}, or say why not: {}",
                down_name(up),
                dialect.directive("irreversible", "…")
            ))
            .help("cutover migrate validate");
            errors.push(if dialect == Dialect::MongoDb {
                found
            } else {
                found.note(IF_THEIRS.0, IF_THEIRS.1)
            });
        }
        (true, Some(_)) => errors.push(
            Diagnostic::error(
                "migrate.irreversible-with-down",
                format!("{id} is irreversible and yet has a down file"),
            )
            .at(locate(&up.name, &up.text, 0, 1))
            .help(format!("rm {}", down_name(up))),
        ),
        _ => {}
    }
}

/// A contract, said so or made so by its statements, without its bound.
pub(crate) fn retires_missing(dialect: Dialect, up: &StoredFile) -> Diagnostic {
    Diagnostic::error(
        "migrate.retires-missing",
        format!(
            "{} is a contract and does not say which versions it retires",
            up.name
        ),
    )
    .at(locate(&up.name, &up.text, 0, up.text.len()))
    .label(format!(
        "add: {}, the first version that can live with it",
        match dialect {
            Dialect::MongoDb => dialect.directive("retires", "VERSION"),
            _ => "retires=VERSION".to_owned(),
        }
    ))
    .help("cutover migrate validate")
}

fn one_of(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::MongoDb => "command",
        _ => "statement",
    }
}

fn reviewed(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::MongoDb => "\"reviewed\": true",
        _ => "reviewed=yes",
    }
}

fn down_name(up: &StoredFile) -> String {
    match up.name.strip_prefix('V') {
        Some(rest) => format!("U{rest}"),
        None => up.name.replace(".up.", ".down."),
    }
}

/// It makes views, functions and the like anew, so it is an expand without a way down.
fn check_repeatable(up: &StoredFile, header: &Header, top: Location, errors: &mut Vec<Diagnostic>) {
    let other_phase = header.phase.is_some_and(|phase| phase != MigrationPhase::Expand);
    let declares = !header.syncs.is_empty() || !header.ended.is_empty() || header.batches.is_some();
    if other_phase || declares {
        errors.push(
            Diagnostic::error(
                "migrate.repeatable",
                format!(
                    "{} runs whenever it changes, so it can only be an expand without declarations",
                    up.name
                ),
            )
            .at(top)
            .label("put this into a file with a number")
            .help("cutover migrate new NAME --release VERSION"),
        );
    }
}

/// Splits one file and reads its header; what is wrong goes to `errors`.
fn script(file: &StoredFile, dialect: Dialect, errors: &mut Vec<Diagnostic>) -> Option<(Header, Script)> {
    let place = |offset, length| locate(&file.name, &file.text, offset, length);
    let statements = match split(dialect, &file.text) {
        Ok(statements) => statements,
        Err(error) => {
            let found = Diagnostic::error("migrate.unparsable", format!("{}: {}", file.name, error.problem))
                .at(place(error.byte_offset, 1))
                .help("cutover migrate validate");
            errors.push(match error.problem {
                SplitProblem::CutBody => found.label(
                    "write BEGIN … END around the body, or a line `DELIMITER //` above it and `//` behind it",
                ),
                _ => found,
            });
            return None;
        }
    };
    let header = match header(dialect, &file.text) {
        Ok(header) => header,
        Err(found) => {
            for error in found {
                let at = place(error.range.start, error.range.len());
                errors.push(directive::told(dialect, &file.name, &error, at));
            }
            return None;
        }
    };
    for statement in &statements {
        if lacks_data(dialect, &statement.text) {
            let at = place(statement.byte_offset, statement.text.len());
            errors.push(
                Diagnostic::error(
                    "migrate.unparsable",
                    format!("{}: {}", file.name, SplitProblem::UnclosedCopy),
                )
                .at(at)
                .label("its lines stand below it, and a line `\\.` ends them")
                .help("cutover migrate validate"),
            );
        }
        if sends_rows(dialect, &statement.text) {
            let at = place(statement.byte_offset, statement.text.len());
            errors.push(
                Diagnostic::error(
                    "migrate.sends-rows",
                    format!("{} sends rows to its client, which reads none", file.name),
                )
                .at(at)
                .label("leave it out: a migration changes the database")
                .help("cutover migrate validate"),
            );
        }
        if controls_transaction(dialect, &statement.text) {
            let at = place(statement.byte_offset, statement.text.len());
            errors.push(
                Diagnostic::error(
                    "migrate.transaction-control",
                    format!("{} begins, ends or sets a transaction itself", file.name),
                )
                .at(at)
                .label(match dialect {
                    Dialect::MongoDb => "leave it out: each command commits by itself, and is recorded",
                    _ => "leave it out: a file is one transaction, and its history is written within it",
                })
                .help("cutover migrate validate"),
            );
        }
    }
    let script = Script {
        name: file.name.clone(),
        text: file.text.clone(),
        statements,
        transaction: header.transaction,
        timeout: header.timeout,
    };
    Some((header, script))
}

/// Names and texts of a test.
#[cfg(test)]
fn stored(files: &[(&str, &str)]) -> Vec<StoredFile> {
    let all = files.iter().map(|(name, text)| StoredFile {
        name: (*name).to_owned(),
        text: (*text).to_owned(),
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(files: &[(&str, &str)]) -> Result<Vec<MigrationFile>, Vec<String>> {
        from_files(&"main".parse().unwrap(), &stored(files), Dialect::Sqlite).map_err(|errors| {
            for error in &errors {
                assert!(error.location.is_some(), "{error}");
                assert!(error.help.is_some(), "{error}");
            }
            errors.into_iter().map(|error| error.code).collect()
        })
    }

    #[test]
    fn a_copy_without_its_data_is_refused_before_it_runs() {
        let file = |text: &str| StoredFile {
            name: "001_a.up.sql".to_owned(),
            text: format!("-- cutover: phase=expand\n-- cutover: irreversible reason=rows\n{text}"),
        };
        let read = |text: &str| from_files(&"main".parse().unwrap(), &[file(text)], Dialect::Postgres);
        for text in ["COPY t FROM STDIN;", "COPY t (a) FROM stdin WITH (FORMAT csv)"] {
            let found = read(text).unwrap_err();
            assert_eq!(found[0].code, "migrate.unparsable", "{text}");
        }
        for text in [
            "COPY t FROM stdin;\n1\n\\.\n",
            "COPY t TO '/x';",
            "COPY t FROM '/x';",
        ] {
            read(text).unwrap();
        }
    }

    #[test]
    fn one_migration_under_two_names_is_refused() {
        let found = load(&[
            ("4_x.up.sql", "-- cutover: phase=expand\nSELECT 1"),
            ("4_x.down.sql", ""),
            ("V4__x.sql", "-- cutover: phase=expand\nSELECT 2"),
        ]);
        assert_eq!(found.unwrap_err(), ["migrate.duplicate-number"]);
    }

    const UP: &str = "-- Makes t.\n-- cutover: phase=expand\nCREATE TABLE t (a int);";

    #[test]
    fn a_pair_of_files_is_a_migration() {
        let found = load(&[
            ("010_b.down.sql", "SELECT 1"),
            (
                "010_b.up.sql",
                "-- cutover: phase=contract retires=1.1.0 transaction=none\nSELECT 1",
            ),
            ("README.md", "not looked at"),
            ("009_a.up.sql", UP),
            ("009_a.down.sql", "DROP TABLE t"),
        ])
        .unwrap();
        let names: Vec<String> = found.iter().map(|f| f.migration.id.to_string()).collect();
        assert_eq!(names, ["009_a", "010_b"]);
        assert_eq!(found[0].migration.summary.as_deref(), Some("Makes t."));
        assert_eq!(found[1].migration.phase, MigrationPhase::Contract);
        assert!(!found[1].up.transaction && found[1].down.as_ref().unwrap().transaction);
    }

    #[test]
    fn a_checksum_survives_comments_and_line_ends_but_not_changes() {
        let one = |text: &str| {
            load(&[("1_a.up.sql", text), ("1_a.down.sql", "SELECT 1")])
                .unwrap()
                .remove(0)
        };
        let base = one(UP);
        let same = one(&UP.replace('\n', "\r\n").replace("Makes", "Creates"));
        assert_eq!(base.migration.checksum, same.migration.checksum);
        assert_ne!(base.raw_checksum, same.raw_checksum);
        let other = one(&UP.replace("a int", "b int"));
        assert_ne!(base.migration.checksum, other.migration.checksum);
    }

    #[test]
    fn each_mistake_has_its_code() {
        let down = ("1_a.down.sql", "SELECT 1");
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            (&[("1_a.up.sql", "SELECT 1"), down], &["migrate.phase-missing"]),
            (
                &[("1_a.up.sql", "-- cutover: phase=contract\nSELECT 1"), down],
                &["migrate.retires-missing"],
            ),
            (
                &[
                    ("1_a.up.sql", "-- cutover: phase=expand retires=1.0.0\nSELECT 1"),
                    down,
                ],
                &["migrate.retires-without-contract"],
            ),
            (&[("1_a.up.sql", UP)], &["migrate.down-missing"]),
            (&[down], &["migrate.up-missing"]),
            (
                &[
                    (
                        "1_a.up.sql",
                        "-- cutover: phase=expand\n-- cutover: irreversible reason=x\nSELECT 1",
                    ),
                    down,
                ],
                &["migrate.irreversible-with-down"],
            ),
            (
                &[("1_a.up.sql", "-- cutover: phase=expand\nSELECT '"), down],
                &["migrate.unparsable"],
            ),
            (
                &[("1_a.up.sql", "-- cutover: fase=expand\nSELECT 1"), down],
                &["migrate.directive"],
            ),
            (
                &[("1_a.up.sql", "-- cutover: phase=expand\n"), down],
                &["migrate.empty"],
            ),
            (
                &[
                    ("1_a.up.sql", "-- cutover: phase=expand\nBEGIN; SELECT 1; COMMIT"),
                    down,
                ],
                &["migrate.transaction-control", "migrate.transaction-control"],
            ),
            (
                &[
                    (
                        "1_a.up.sql",
                        "-- cutover: phase=expand\n-- cutover: phase=contract retires=1.0.0\nSELECT 1",
                    ),
                    down,
                ],
                &["migrate.mixed-phase"],
            ),
            (
                &[("a.up.sql", UP), ("1.sql", "")],
                &["migrate.bad-name", "migrate.bad-name"],
            ),
            (
                &[("1_a.up.sql", UP), down, ("3_c.up.sql", UP), ("3_c.down.sql", "")],
                &["migrate.gap"],
            ),
            (
                &[("1_a.up.sql", UP), down, ("1_b.up.sql", UP), ("1_b.down.sql", "")],
                &["migrate.duplicate-number"],
            ),
        ];
        for (files, codes) in cases {
            assert_eq!(load(files).unwrap_err(), *codes, "{files:?}");
        }
    }

    #[test]
    fn flyways_names_are_read() {
        let found = load(&[
            ("V2__add_users.sql", UP),
            ("U2__add_users.sql", "DROP TABLE t"),
            ("V10__more.sql", UP),
            ("U10__more.sql", "SELECT 1"),
            ("R__views.sql", "CREATE VIEW v AS SELECT 1"),
        ])
        .unwrap();
        let ids: Vec<String> = found.iter().map(|file| file.migration.id.to_string()).collect();
        assert_eq!(&ids[..2], ["2_add_users", "10_more"]);
        let views = &found[2].migration;
        assert!(
            ids[2].starts_with("R__views.") && views.id.base() == "views",
            "{}",
            ids[2]
        );
        assert_eq!(views.phase, MigrationPhase::Expand);
        let changed = load(&[("R__views.sql", "CREATE VIEW v AS SELECT 2")]).unwrap();
        assert_ne!(changed[0].migration.id, views.id);
        let same = load(&[("R__views.sql", "-- a comment\nCREATE VIEW v AS SELECT 1;")]).unwrap();
        assert_eq!(same[0].migration.id, views.id);

        assert_eq!(load(&[("V2.1__x.sql", UP)]).unwrap_err(), ["migrate.bad-name"]);
        assert_eq!(load(&[("V2__x.sql", UP)]).unwrap_err(), ["migrate.down-missing"]);
        let both = [
            ("V2__x.sql", UP),
            ("U2__x.sql", ""),
            ("002_y.up.sql", UP),
            ("002_y.down.sql", ""),
        ];
        assert_eq!(load(&both).unwrap_err(), ["migrate.duplicate-number"]);
        let contract = "-- cutover: phase=contract retires=1.0.0\nDROP VIEW v";
        assert_eq!(
            load(&[("R__views.sql", contract)]).unwrap_err(),
            ["migrate.repeatable"]
        );
    }

    #[test]
    fn timestamps_have_gaps() {
        let found = load(&[
            ("20261101090000_a.up.sql", UP),
            ("20261101090000_a.down.sql", "SELECT 1"),
            ("20261127093000_b.up.sql", UP),
            ("20261127093000_b.down.sql", "SELECT 1"),
        ]);
        assert_eq!(found.unwrap()[1].migration.id.number, 20_261_127_093_000);
    }

    #[test]
    fn a_byte_order_mark_and_crlf_change_nothing() {
        let text = format!("\u{feff}{}", UP.replace('\n', "\r\n"));
        let found = load(&[("1_a.up.sql", &text), ("1_a.down.sql", "SELECT 1")]).unwrap();
        let plain = load(&[("1_a.up.sql", UP), ("1_a.down.sql", "SELECT 1")]).unwrap();
        assert_eq!(found[0].migration.checksum, plain[0].migration.checksum);
        assert_eq!(found[0].up.statements[0].text, "CREATE TABLE t (a int)");
    }

    #[test]
    fn the_same_number_written_with_another_width_is_a_duplicate() {
        let codes = load(&[
            ("1_a.up.sql", UP),
            ("1_a.down.sql", ""),
            ("001_a.up.sql", UP),
            ("001_a.down.sql", ""),
        ]);
        assert_eq!(codes.unwrap_err(), ["migrate.duplicate-number"]);
    }
}

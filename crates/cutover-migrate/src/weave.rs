//! What a file's `sync`, `end-sync` and `backfill` directives put into its scripts. Pure.
//!
//! The triggers are statements of the files like those that people wrote: those of a `sync` come after the up file's
//! own statements and go before the down file's; those of an `end-sync` go before the contract's own.

use cutover_model::{Diagnostic, MigrationPhase};
use cutover_sql::{Batches, Dialect, EndSync, Header, Placed, Statement, Sync, locate, writes_rows};

use crate::Script;

/// Where the range of a batch goes in a backfill's own statement.
pub(crate) const RANGE: &str = "{batch}";

/// A backfill that runs in batches: the table, the key, and the statement with `{batch}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batched {
    /// What is run through, and in which steps.
    pub batches: Batches,
    /// The statement, with `{batch}` where the range of each batch goes.
    pub statement: String,
}

/// What a file has besides its scripts.
#[derive(Debug, Default)]
pub(crate) struct Woven {
    pub(crate) syncs: Vec<Sync>,
    pub(crate) ended: Vec<EndSync>,
    pub(crate) batched: Option<Batched>,
    pub(crate) verify: Option<String>,
}

struct Weaver<'a> {
    name: &'a str,
    text: &'a str,
    errors: &'a mut Vec<Diagnostic>,
}

impl Weaver<'_> {
    fn refuse<T>(&mut self, placed: &Placed<T>, message: &str, label: &str) {
        let at = locate(self.name, self.text, placed.range.start, placed.range.len());
        self.errors.push(
            Diagnostic::error("migrate.sync-invalid", format!("{}: {message}", self.name))
                .at(at)
                .label(label)
                .help("cutover migrate validate"),
        );
    }
}

/// Adds to the scripts what the header declares. `known` are the syncs of the files before, in order.
pub(crate) fn weave(
    dialect: Dialect,
    header: &Header,
    known: &[Sync],
    up: &mut Script,
    mut down: Option<&mut Script>,
    errors: &mut Vec<Diagnostic>,
) -> Woven {
    let (name, text) = (up.name.clone(), up.text.clone());
    let mut weaver = Weaver {
        name: &name,
        text: &text,
        errors,
    };
    let mut woven = Woven::default();
    for placed in &header.syncs {
        if header.phase != Some(MigrationPhase::Expand) || !header.transaction {
            let label = "columns and triggers come in one transaction, in a file with phase=expand";
            weaver.refuse(placed, "a sync begins in an expand, in one transaction", label);
            continue;
        }
        let at = placed.range.start;
        begin(dialect, up, generated(&text, at, placed.value.begin(dialect)));
        if let Some(down) = down.as_deref_mut() {
            prepend(down, placed.value.end(dialect));
        }
        woven.syncs.push(placed.value.clone());
    }
    for placed in &header.ended {
        let ended = &placed.value;
        let Some(sync) = find(known, ended) else {
            let said = format!(
                "no file before it has a sync of {} new={}",
                ended.table.sql(),
                ended.new.join(",")
            );
            weaver.refuse(placed, &said, "table= and new= are those of the sync that ends");
            continue;
        };
        if header.phase != Some(MigrationPhase::Contract) || !header.transaction {
            let label = "triggers and columns go in one transaction, in a file with phase=contract";
            weaver.refuse(placed, "a sync ends in a contract, in one transaction", label);
            continue;
        }
        let mut statements = generated(&text, placed.range.start, sync.end(dialect));
        statements.append(&mut up.statements);
        up.statements = statements;
        if let Some(down) = down.as_deref_mut() {
            let end = down.text.len();
            let text = down.text.clone();
            begin(dialect, down, generated(&text, end, sync.begin(dialect)));
        }
        woven.ended.push(ended.clone());
    }
    if let Some(placed) = &header.batches {
        backfill(dialect, header, known, placed, up, &mut weaver, &mut woven);
    }
    woven
}

/// The triggers come last; where nothing keeps writers away meanwhile, they come before the first rows that the file itself
/// writes, so that no write falls between the two.
fn begin(dialect: Dialect, script: &mut Script, triggers: Vec<Statement>) {
    let all = &mut script.statements;
    let rows = all.iter().position(|one| writes_rows(dialect, &one.text));
    let at = rows.filter(|_| dialect.is_mysql()).unwrap_or(all.len());
    all.splice(at..at, triggers);
}

fn find<'a>(known: &'a [Sync], ended: &EndSync) -> Option<&'a Sync> {
    known
        .iter()
        .find(|sync| sync.table == ended.table && sync.new == ended.new)
}

fn backfill(
    dialect: Dialect,
    header: &Header,
    known: &[Sync],
    placed: &Placed<Batches>,
    up: &mut Script,
    weaver: &mut Weaver<'_>,
    woven: &mut Woven,
) {
    if header.phase != Some(MigrationPhase::Backfill) {
        let label = "phase=backfill";
        weaver.refuse(placed, "only a backfill runs in batches", label);
        return;
    }
    let batches = placed.value.clone();
    let statement = match &batches.new {
        Some(new) => {
            let wanted = EndSync {
                table: batches.table.clone(),
                new: new.clone(),
            };
            let Some(sync) = find(known, &wanted) else {
                let said = format!(
                    "no file before it has a sync of {} new={}",
                    batches.table.sql(),
                    new.join(",")
                );
                weaver.refuse(
                    placed,
                    &said,
                    "table= and new= are those of the sync that is filled",
                );
                return;
            };
            if !up.statements.is_empty() {
                let said = "it fills a sync, so it has no statement of its own";
                weaver.refuse(placed, said, "leave new= out, or the statement");
                return;
            }
            woven.verify = Some(sync.verify(dialect));
            sync.fill(dialect)
        }
        None => match up.statements.as_slice() {
            [one] if one.text.matches(RANGE).count() == 1 => one.text.clone(),
            _ => {
                let said = "a backfill in batches has one statement, in which {batch} stands once";
                weaver.refuse(placed, said, "UPDATE … WHERE … AND {batch}");
                return;
            }
        },
    };
    up.statements = generated(weaver.text, placed.range.start, vec![statement.clone()]);
    woven.batched = Some(Batched { batches, statement });
}

/// Statements that stand nowhere: their place is the directive that asks for them.
fn generated(text: &str, at: usize, statements: Vec<String>) -> Vec<Statement> {
    let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let one = |text| Statement {
        text,
        line,
        byte_offset: at,
    };
    statements.into_iter().map(one).collect()
}

fn prepend(script: &mut Script, statements: Vec<String>) {
    let mut all = generated("", 0, statements);
    all.append(&mut script.statements);
    script.statements = all;
}

/// What directives add to a file's checksum: they are comments, but they change what is done.
pub(crate) fn checksum_text(header: &Header) -> String {
    let syncs = header.syncs.iter().map(|placed| &placed.text);
    let ended = header.ended.iter().map(|placed| &placed.text);
    let batches = header.batches.iter().map(|placed| &placed.text);
    syncs
        .chain(ended)
        .chain(batches)
        .map(|text| format!("\n-- {text}"))
        .collect()
}

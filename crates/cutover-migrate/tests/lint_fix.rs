//! What `--fix` writes, on a server: applied in order it ends in the schema that the original text makes, and what the old
//! version minds stands in contracts.

#![cfg(test)]

use std::collections::BTreeSet;

use cutover_migrate::from_files;
use cutover_model::MigrationPhase;
use cutover_spec::StoredFile;
use cutover_sql::lint::{FixedFile, Input, Prior, fix};
use cutover_sql::{Dialect, Sync, header, split};
use tokio_postgres::{Client, NoTls};

const SETUP: &str = "
    CREATE TABLE users (id bigint PRIMARY KEY, name varchar(20) NOT NULL DEFAULT 'x', age int, code text, note text);
    CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric(10,2), state text, at timestamp, ref int);
    CREATE INDEX orders_total ON orders (total);
    CREATE INDEX orders_user ON orders (user_id);
    INSERT INTO users (id, age, code) SELECT n, n, 'c' || n FROM generate_series(1, 20) n;
    INSERT INTO orders (id, user_id, total, state) SELECT n, n % 20 + 1, n, 's' FROM generate_series(1, 50) n;
";

/// Each stands on the setup alone, so that any of them may be put together.
const STATEMENTS: [&str; 38] = [
    "CREATE INDEX users_code ON users (code)",
    "CREATE UNIQUE INDEX IF NOT EXISTS users_code_once ON public.users USING btree (lower(code)) WHERE code IS NOT NULL",
    "CREATE INDEX ON orders (state, at DESC)",
    "DROP INDEX orders_total",
    "DROP INDEX IF EXISTS orders_total",
    "ALTER TABLE users ADD COLUMN mail text",
    "ALTER TABLE users ADD COLUMN key uuid DEFAULT gen_random_uuid()",
    "ALTER TABLE users ADD COLUMN secret uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE",
    "ALTER TABLE users ADD COLUMN IF NOT EXISTS level int NOT NULL DEFAULT 1 CHECK (level > 0)",
    "ALTER TABLE users ADD COLUMN seen timestamptz DEFAULT clock_timestamp(), ADD COLUMN kind text DEFAULT 'k'",
    "ALTER TABLE orders ADD COLUMN n serial",
    "ALTER TABLE orders ADD COLUMN big bigserial UNIQUE",
    "ALTER TABLE orders ADD COLUMN tag text UNIQUE",
    "ALTER TABLE orders ADD COLUMN owner text COLLATE \"C\" NOT NULL DEFAULT md5(random()::text)",
    "ALTER TABLE orders ADD COLUMN made date CONSTRAINT made_late CHECK (made > '2001-01-01')",
    "ALTER TABLE users ALTER COLUMN age SET NOT NULL",
    "ALTER TABLE users ALTER code SET NOT NULL, ALTER code SET DEFAULT 'none'",
    "ALTER TABLE orders ALTER COLUMN user_id SET NOT NULL",
    "ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE",
    "ALTER TABLE ONLY public.orders ADD FOREIGN KEY (user_id) REFERENCES users",
    "ALTER TABLE orders ADD CONSTRAINT positive CHECK (total >= 0)",
    "ALTER TABLE orders ADD CHECK (state <> '')",
    "ALTER TABLE orders ADD CHECK (total > 0 OR user_id > 0)",
    "ALTER TABLE users ADD CONSTRAINT users_once UNIQUE (code, age)",
    "ALTER TABLE users ADD UNIQUE (code)",
    "ALTER TABLE users DROP COLUMN note",
    "ALTER TABLE orders DROP COLUMN total CASCADE, ADD COLUMN price numeric(12,2)",
    "ALTER TABLE users ALTER COLUMN name DROP NOT NULL",
    "ALTER TABLE users ALTER COLUMN name DROP DEFAULT",
    "ALTER TABLE users RENAME COLUMN name TO full_name",
    "ALTER TABLE users RENAME COLUMN note TO remark",
    "ALTER TABLE orders ALTER COLUMN ref TYPE bigint",
    "ALTER TABLE users ALTER COLUMN age SET DATA TYPE bigint",
    "ALTER TABLE orders ALTER COLUMN at TYPE timestamptz USING at AT TIME ZONE 'UTC'",
    "ALTER TABLE users ALTER COLUMN name TYPE varchar(40)",
    "CREATE TABLE extra (id serial PRIMARY KEY, user_id bigint REFERENCES users); CREATE INDEX ON extra (user_id)",
    "UPDATE users SET note = 'n' WHERE note IS NULL",
    "ALTER TABLE orders RENAME TO purchases",
];

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn fresh(client: &Client) {
    let text = format!("DROP SCHEMA public CASCADE; CREATE SCHEMA public; {SETUP}");
    client.batch_execute(&text).await.unwrap();
}

/// What a version writes that knows only the setup.
const OLD_WRITES: &str = "
    INSERT INTO users (id, name, age, code, note) VALUES (100, 'old', 7, 'c100', 'n');
    INSERT INTO orders (id, user_id, total, state, at) VALUES (100, 1, 5, 's', '2026-01-02 03:04:05');
    UPDATE users SET name = 'renamed', age = 8 WHERE id = 3;
";

/// All that makes the schema, and what is in it but for what is made by chance.
async fn picture(client: &Client) -> BTreeSet<String> {
    let rows = client
        .query(
            "SELECT format('column %s.%s %s %s %s', attrelid::regclass, attname, format_type(atttypid, atttypmod),
                 attnotnull, pg_get_expr(adbin, adrelid))
             FROM pg_attribute JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0 AND NOT attisdropped
             UNION ALL
             SELECT format('constraint %s %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated)
             FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
             UNION ALL
             SELECT format('index %s %s', pg_get_indexdef(indexrelid), indisvalid)
             FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = 'public'::regnamespace
             UNION ALL
             SELECT format('sequence %s %s %s', c.oid::regclass, s.seqtypid::regtype,
                 (SELECT format('%s.%s', refobjid::regclass, refobjsubid > 0) FROM pg_depend
                  WHERE objid = c.oid AND deptype IN ('a', 'i') AND refobjsubid > 0))
             FROM pg_class c JOIN pg_sequence s ON s.seqrelid = c.oid WHERE relnamespace = 'public'::regnamespace",
            &[],
        )
        .await
        .unwrap();
    let mut out: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let tables = client
        .query(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
            &[],
        )
        .await
        .unwrap();
    for table in tables {
        let table: String = table.get(0);
        let query = format!(
            "SELECT to_jsonb(t) - '{{key,secret,seen,n,big,owner}}'::text[] || '{{\"table\": \"{table}\"}}' FROM \"{table}\" t"
        );
        let query = format!("SELECT one::text FROM ({query}) rows (one)");
        let rows = client.query(&query, &[]).await.unwrap();
        out.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    out
}

/// As Cutover runs it; triggers included.
async fn apply(client: &Client, file: &FixedFile, syncs: &mut Vec<Sync>) -> Result<(), String> {
    let text = file.text(Some(&"2.0.0".parse().unwrap()));
    let head = header(Dialect::Postgres, &text).unwrap();
    assert_eq!(head.phase, Some(file.phase), "{text}");
    for precheck in &head.prechecks {
        let count: i64 = client.query_one(precheck, &[]).await.unwrap().get(0);
        assert_eq!(count, 0, "{text}");
    }
    let mut all = Vec::new();
    for ended in &head.ended {
        let at = syncs.iter().position(|sync| sync.new == ended.value.new).unwrap();
        all.extend(syncs.remove(at).end(Dialect::Postgres));
    }
    for statement in split(Dialect::Postgres, &text).unwrap() {
        all.push(statement.text.replace("{batch}", "TRUE"));
    }
    for sync in &head.syncs {
        all.extend(sync.value.begin(Dialect::Postgres));
        syncs.push(sync.value.clone());
    }
    if let Some(new) = head
        .batches
        .as_ref()
        .and_then(|batches| batches.value.new.as_ref())
    {
        let sync = syncs.iter().find(|sync| sync.new == *new).unwrap();
        all.push(sync.fill(Dialect::Postgres).replace("{batch}", "TRUE"));
    }
    if file.transaction {
        client.batch_execute("BEGIN").await.unwrap();
    }
    for statement in &all {
        client
            .batch_execute(statement)
            .await
            .map_err(|error| format!("{statement}: {error:?}\n{text}"))?;
    }
    if file.transaction {
        client.batch_execute("COMMIT").await.unwrap();
    }
    if let Some(verify) = &head.verify {
        let count: i64 = client.query_one(verify, &[]).await.unwrap().get(0);
        assert_eq!(count, 0, "{text}");
    }
    Ok(())
}

/// Whether Cutover takes them as the files of a release, once somebody has read them.
fn accepted(files: &[FixedFile]) -> Result<(), String> {
    let retires = "2.0.0".parse().unwrap();
    let files: Vec<StoredFile> = (1..)
        .zip(files)
        .map(|(number, file): (usize, _)| StoredFile {
            name: format!("{number:03}_fixed.up.sql"),
            text: file.text(Some(&retires)).replace("reviewed=no", "reviewed=yes"),
        })
        .collect();
    let name = "main".parse().unwrap();
    match from_files(&name, &files, Dialect::Postgres) {
        Ok(all) if all.len() == files.len() => Ok(()),
        Ok(_) => Err("a file is missing".to_owned()),
        Err(found) => Err(format!("{found:#?}\n{files:#?}")),
    }
}

/// Whether the text could be run at all; when it could, its rewritten form must come to the same.
async fn compare(original: &Client, fixed: &Client, text: &str) -> Result<bool, String> {
    fresh(original).await;
    original.batch_execute(OLD_WRITES).await.unwrap();
    if original.batch_execute(text).await.is_err() {
        original.batch_execute("ROLLBACK").await.unwrap();
        return Ok(false);
    }
    fresh(fixed).await;
    let prior = Prior::from_text(Dialect::Postgres, SETUP);
    let input = Input {
        dialect: Dialect::Postgres,
        version: None,
        prior: &prior,
        file: "original.sql",
        source: text,
        transaction: None,
    };
    let made = fix(&input, &[]).unwrap();
    let found: Vec<&str> = made.left.iter().map(|finding| finding.rule.as_str()).collect();
    if !found.is_empty() {
        return Err(format!("{text}\nleaves {found:?}\n{:#?}", made.files));
    }
    accepted(&made.files).map_err(|why| format!("{text}\nis not accepted: {why}"))?;
    let (contracts, before): (Vec<&FixedFile>, Vec<&FixedFile>) = made
        .files
        .iter()
        .partition(|file| file.phase == MigrationPhase::Contract);
    let mut syncs = Vec::new();
    for file in before {
        apply(fixed, file, &mut syncs).await?;
    }
    // The old version is there until the contracts, and is unharmed.
    fixed
        .batch_execute(OLD_WRITES)
        .await
        .map_err(|error| format!("{text}\nbreaks the old version: {error:?}"))?;
    // What it writes without a default that came later is filled again before a contract.
    for file in made
        .files
        .iter()
        .filter(|file| file.phase == MigrationPhase::Backfill)
    {
        apply(fixed, file, &mut syncs).await?;
    }
    for file in contracts {
        apply(fixed, file, &mut syncs).await?;
    }
    let (wanted, got) = (picture(original).await, picture(fixed).await);
    let missing: Vec<&String> = wanted.difference(&got).collect();
    let more: Vec<&String> = got.difference(&wanted).collect();
    if !missing.is_empty() || !more.is_empty() {
        return Err(format!("{text}\nmissing: {missing:#?}\nmore: {more:#?}"));
    }
    Ok(true)
}

/// What went wrong, all of it, after whatever a failure left open.
async fn wrong(original: &Client, fixed: &Client, text: &str, ran: &mut usize, out: &mut Vec<String>) {
    match compare(original, fixed, text).await {
        Ok(did) => *ran += usize::from(did),
        Err(why) => {
            fixed.batch_execute("ROLLBACK").await.unwrap();
            out.push(why);
        }
    }
}

#[tokio::test]
async fn each_statement_ends_in_the_schema_that_was_meant() {
    let (Some(one), Some(other)) = (
        cutover_testkit::postgres_database().await,
        cutover_testkit::postgres_database().await,
    ) else {
        return;
    };
    let (original, fixed) = (connect(&one).await, connect(&other).await);
    let (mut ran, mut out) = (0, Vec::new());
    for statement in STATEMENTS {
        wrong(&original, &fixed, statement, &mut ran, &mut out).await;
    }
    assert!(out.is_empty(), "{}", out.join("\n\n"));
    assert_eq!(ran, STATEMENTS.len());
}

/// Several, in any order: those that can run one after the other.
#[tokio::test]
async fn so_do_several_together() {
    let (Some(one), Some(other)) = (
        cutover_testkit::postgres_database().await,
        cutover_testkit::postgres_database().await,
    ) else {
        return;
    };
    let (original, fixed) = (connect(&one).await, connect(&other).await);
    let (mut ran, mut out) = (0, Vec::new());
    let mut number = 20_261_128_u64;
    for _ in 0..40 {
        let mut text = String::from("BEGIN;\n");
        for _ in 0..3 {
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let at = usize::try_from(number >> 33).unwrap() % STATEMENTS.len();
            text.push_str(STATEMENTS[at]);
            text.push_str(";\n");
        }
        text.push_str("COMMIT;");
        wrong(&original, &fixed, &text, &mut ran, &mut out).await;
    }
    assert!(out.is_empty(), "{}", out.join("\n\n"));
    assert!(ran >= 15, "only {ran} could be run");
}

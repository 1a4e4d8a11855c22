//! What is compared and told, but has no statements: each is a query that gives a kind, a name and a definition. Rights, owners,
//! user mappings (which hold passwords), publications, subscriptions, operators, casts and text search are not looked at.

use cutover_sql::catalog::{Catalog, OtherName};

use super::super::rows;
use super::ours;
use crate::failure::Failure;
use crate::session::SqlSession;

pub(super) async fn read<S: SqlSession>(session: &mut S, out: &mut Catalog) -> Result<(), Failure> {
    let all = [spaces(), code(), of_tables(), types(), sequences(), comments()];
    for sql in all.into_iter().flatten() {
        for mut row in rows(session, &sql).await? {
            let name = OtherName {
                kind: row.text(),
                name: row.text(),
            };
            out.others.insert(name, row.text());
        }
    }
    Ok(())
}

fn spaces() -> Vec<String> {
    let schemas = "SELECT 'schema', quote_ident(n.nspname), '' FROM pg_namespace n
        WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'public') AND n.nspname <> coalesce(current_schema(), '')
            AND NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = 'pg_namespace'::regclass AND x.objid = n.oid AND x.deptype = 'e')";
    let extensions =
        "SELECT 'extension', quote_ident(extname), '' FROM pg_extension WHERE extname <> 'plpgsql'";
    let events = "SELECT 'event trigger', quote_ident(evtname), concat_ws(' ', evtevent, evttags::text, evtfoid::regprocedure::text,
            CASE evtenabled WHEN 'D' THEN 'DISABLED' END) FROM pg_event_trigger t
        WHERE NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = 'pg_event_trigger'::regclass AND x.objid = t.oid AND x.deptype = 'e')";
    [schemas, extensions, events].map(str::to_owned).into()
}

fn code() -> Vec<String> {
    let ours = ours("pg_proc", "p", "n");
    let functions = format!(
        "SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid)
         FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p', 'w') AND {ours}"
    );
    let aggregates = format!(
        "SELECT 'aggregate', p.oid::regprocedure::text, concat_ws(' ', a.aggtransfn, a.aggfinalfn, a.aggtranstype::regtype, a.agginitval)
         FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {ours}"
    );
    vec![functions, aggregates]
}

/// Each begins with its own name, and names its table behind it.
fn of_tables() -> Vec<String> {
    let ours = ours("pg_class", "c", "n");
    let of = |kind: &str, name: &str, definition: &str, from: &str, condition: &str| {
        format!(
            "SELECT '{kind}', {name} || ' on ' || c.oid::regclass::text, {definition}
             FROM {from} JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {condition} AND {ours}"
        )
    };
    vec![
        of(
            "trigger",
            "t.tgname::text",
            "pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'D' THEN ' DISABLED' WHEN 'R' THEN ' ON REPLICAS' WHEN 'A' THEN ' ALWAYS' ELSE '' END",
            "pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid",
            "NOT t.tgisinternal",
        ),
        of(
            "rule",
            "r.rulename::text",
            "pg_get_ruledef(r.oid) || CASE r.ev_enabled WHEN 'D' THEN ' DISABLED' ELSE '' END",
            "pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class",
            "r.rulename <> '_RETURN'",
        ),
        of(
            "statistics",
            "s.stxname::text",
            "pg_get_statisticsobjdef(s.oid)",
            "pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid",
            "true",
        ),
        of(
            "policy",
            "p.polname::text",
            "concat_ws(' ', CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, 'FOR', p.polcmd,
                'TO', (SELECT string_agg(CASE role WHEN 0 THEN 'public' ELSE role::regrole::text END, ', ') FROM unnest(p.polroles) role),
                'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', 'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')",
            "pg_policy p JOIN pg_class c ON c.oid = p.polrelid",
            "true",
        ),
        of(
            "row level security",
            "CASE WHEN c.relforcerowsecurity THEN 'forced' ELSE 'enabled' END",
            "''",
            "pg_class c",
            "(c.relrowsecurity OR c.relforcerowsecurity)",
        ),
        of(
            "index",
            "i.relname::text",
            "pg_get_indexdef(i.oid)",
            "pg_index x JOIN pg_class c ON c.oid = x.indrelid AND c.relkind = 'm' JOIN pg_class i ON i.oid = x.indexrelid",
            "true",
        ),
        of(
            "settings",
            "'storage'",
            "array_to_string(c.reloptions, ', ')",
            "pg_class c",
            "c.relkind IN ('r', 'p') AND c.reloptions IS NOT NULL",
        ),
        of(
            "settings",
            "'replica identity'",
            "c.relreplident::text",
            "pg_class c",
            "c.relkind IN ('r', 'p') AND c.relreplident <> 'd'",
        ),
        // Of a column's options those that a person can set: the server keeps some of its own among them (15.20 and its sisters).
        of(
            "settings",
            "'column ' || quote_ident(a.attname)",
            "concat_ws(' ', CASE WHEN a.attstorage <> t.typstorage THEN 'STORAGE ' || a.attstorage::text END,
                'COMPRESSION ' || nullif(to_jsonb(a) ->> 'attcompression', ''),
                (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(a.attoptions) o WHERE o LIKE 'n\\_distinct%'),
                'STATISTICS ' || nullif(to_jsonb(a) ->> 'attstattarget', '-1'))",
            "pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_class c ON c.oid = a.attrelid",
            "c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND a.attislocal AND (a.attstorage <> t.typstorage
                OR a.attoptions::text LIKE '%n\\_distinct%' OR coalesce(to_jsonb(a) ->> 'attcompression', '') <> ''
                OR coalesce(to_jsonb(a) ->> 'attstattarget', '-1') <> '-1')",
        ),
        of(
            "foreign table",
            "s.srvname::text",
            "(SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END), ', '
                ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
                || ' ' || coalesce(array_to_string(f.ftoptions, ', '), '')",
            "pg_foreign_table f JOIN pg_class c ON c.oid = f.ftrelid JOIN pg_foreign_server s ON s.oid = f.ftserver",
            "true",
        ),
    ]
}

fn types() -> Vec<String> {
    let own = ours("pg_type", "t", "n");
    let domains = format!(
        "SELECT 'domain', t.oid::regtype::text, concat_ws(' ', format_type(t.typbasetype, t.typtypmod),
            CASE WHEN t.typcollation <> b.typcollation THEN 'COLLATE ' || (SELECT quote_ident(collname) FROM pg_collation WHERE oid = t.typcollation) END,
            CASE WHEN t.typnotnull THEN 'NOT NULL' END, 'DEFAULT ' || t.typdefault,
            (SELECT string_agg(quote_ident(k.conname) || ' ' || pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname) FROM pg_constraint k
                WHERE k.contypid = t.oid AND k.contype = 'c'))
         FROM pg_type t JOIN pg_type b ON b.oid = t.typbasetype JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'd' AND {own}"
    );
    let composite = format!(
        "SELECT 'composite type', t.oid::regtype::text,
            (SELECT string_agg(quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
                || CASE WHEN a.attcollation <> o.typcollation THEN ' COLLATE ' || (SELECT quote_ident(collname) FROM pg_collation WHERE oid = a.attcollation) ELSE '' END,
                ', ' ORDER BY a.attnum)
             FROM pg_attribute a JOIN pg_type o ON o.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
         FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c' JOIN pg_namespace n ON n.oid = t.typnamespace WHERE {own}"
    );
    let ranges = format!(
        "SELECT 'range type', t.oid::regtype::text, concat_ws(' ', r.rngsubtype::regtype, nullif(r.rngsubdiff::oid, 0)::regproc, nullif(r.rngcanonical::oid, 0)::regproc)
         FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid JOIN pg_namespace n ON n.oid = t.typnamespace WHERE {own}"
    );
    // Its provider and rules are in columns that other versions call otherwise.
    let collations = format!(
        "SELECT 'collation', quote_ident(k.collname), (to_jsonb(k) - '{{oid,collname,collnamespace,collowner,collversion}}'::text[])::text
         FROM pg_collation k JOIN pg_namespace n ON n.oid = k.collnamespace WHERE {}",
        ours("pg_collation", "k", "n")
    );
    vec![domains, composite, ranges, collations]
}

/// Those of nobody, and those of columns that count in another way than they do by themselves.
fn sequences() -> Vec<String> {
    let ours = ours("pg_class", "c", "n");
    let text = "concat_ws(' ', s.seqtypid::regtype::text, 'start', s.seqstart, 'by', s.seqincrement, 'from', s.seqmin, 'to', s.seqmax,
        CASE WHEN s.seqcache <> 1 THEN 'cache ' || s.seqcache END, CASE WHEN s.seqcycle THEN 'cycle' END)";
    let from =
        "pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace";
    let owned = "EXISTS (SELECT 1 FROM pg_depend p WHERE p.classid = 'pg_class'::regclass AND p.objid = c.oid AND p.deptype IN ('a', 'i'))";
    let special = "(s.seqstart <> 1 OR s.seqincrement <> 1 OR s.seqmin <> 1 OR s.seqcache <> 1 OR s.seqcycle
        OR s.seqmax NOT IN (32767, 2147483647, 9223372036854775807))";
    vec![
        format!("SELECT 'sequence', c.oid::regclass::text, {text} FROM {from} WHERE NOT {owned} AND {ours}"),
        format!(
            "SELECT 'sequence', c.oid::regclass::text || ' of a column', {text} FROM {from} WHERE {owned} AND {special} AND {ours}"
        ),
    ]
}

/// Those of tables, their columns and views are parts of these.
fn comments() -> Vec<String> {
    let of_views = format!(
        "SELECT 'comment', 'on column ' || c.oid::regclass::text || '.' || quote_ident(a.attname), d.description
         FROM pg_description d JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid
         WHERE d.classoid = 'pg_class'::regclass AND d.objsubid > 0 AND c.relkind IN ('v', 'm', 'c', 'f') AND {}",
        ours("pg_class", "c", "n")
    );
    let of_relations = format!(
        "SELECT 'comment', 'on ' || CASE c.relkind WHEN 'S' THEN 'sequence ' WHEN 'f' THEN 'foreign table ' ELSE 'index ' END || c.oid::regclass::text, d.description
         FROM pg_description d JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE d.classoid = 'pg_class'::regclass AND d.objsubid = 0 AND c.relkind IN ('S', 'f', 'i', 'I') AND {}",
        ours("pg_class", "c", "n")
    );
    let of = |kind: &str, name: &str, from: &str, class: &str, ours: String| {
        format!(
            "SELECT 'comment', 'on {kind} ' || {name}, d.description FROM pg_description d JOIN {from}
             WHERE d.classoid = '{class}'::regclass AND d.objsubid = 0 AND {ours}"
        )
    };
    vec![
        of_views,
        of_relations,
        of(
            "constraint",
            "quote_ident(k.conname) || ' on ' || CASE k.conrelid WHEN 0 THEN k.contypid::regtype::text ELSE k.conrelid::regclass::text END",
            "pg_constraint k ON k.oid = d.objoid JOIN pg_namespace n ON n.oid = k.connamespace",
            "pg_constraint",
            ours("pg_constraint", "k", "n"),
        ),
        of(
            "function",
            "p.oid::regprocedure::text",
            "pg_proc p ON p.oid = d.objoid JOIN pg_namespace n ON n.oid = p.pronamespace",
            "pg_proc",
            ours("pg_proc", "p", "n"),
        ),
        of(
            "type",
            "t.oid::regtype::text",
            "pg_type t ON t.oid = d.objoid JOIN pg_namespace n ON n.oid = t.typnamespace",
            "pg_type",
            ours("pg_type", "t", "n"),
        ),
        of(
            "trigger",
            "quote_ident(t.tgname) || ' on ' || t.tgrelid::regclass::text",
            "pg_trigger t ON t.oid = d.objoid",
            "pg_trigger",
            "true".to_owned(),
        ),
        of(
            "policy",
            "quote_ident(p.polname) || ' on ' || p.polrelid::regclass::text",
            "pg_policy p ON p.oid = d.objoid",
            "pg_policy",
            "true".to_owned(),
        ),
        of(
            "schema",
            "quote_ident(n.nspname)",
            "pg_namespace n ON n.oid = d.objoid",
            "pg_namespace",
            "n.nspname !~ '^pg_' AND n.nspname <> 'public'".to_owned(),
        ),
    ]
}

//! The edge to the disk: reading a folder of migrations, and writing a new pair of files into it.

use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::thread;

use cutover_model::{Diagnostic, MigrationId, MigrationPhase, Version};
use cutover_spec::StoredFile;
use cutover_sql::Dialect;

use crate::Draft;
use crate::load::file_name;

/// The most bytes that a file may have. A release stores its files, so data of such a size belongs elsewhere.
const LARGEST: u64 = 64 * 1024 * 1024;

/// At least so many files are one thread's: while they are read, a database answers, for which there is to be a core.
const PER_THREAD: usize = 1024;

/// So much is read at once, in bytes.
pub(crate) const BUFFER: usize = 64 * 1024;

/// How files of migrations end.
const SQL: &str = ".sql";
/// Those of commands: other `.json` in the folder is not theirs.
pub(crate) const JSON: &str = ".json";

/// How Flyway calls the settings of a script: the script's own name, and this.
pub(crate) const SETTINGS: &str = ".sql.conf";

/// So deep below a folder files are looked for that were meant for it.
const DEPTH: usize = 3;

/// What was read of a folder.
#[derive(Debug, Default)]
pub struct Folder {
    /// The files with their texts, by name.
    pub files: Vec<StoredFile>,
    /// Those that could not be read, by name.
    pub unread: Vec<Unread>,
    /// Those in its subfolders that are called like migrations, by path from it: they are not read. What lies in a folder whose name
    /// begins with `_` or `.` is not looked for.
    pub below: Vec<PathBuf>,
}

/// A file that could not be read.
#[derive(Debug)]
pub struct Unread {
    /// Its name in the folder.
    pub name: String,
    /// Why not.
    pub wrong: Diagnostic,
}

/// The `.sql` files of a folder, and those of commands (`.up.json`, `.down.json`), with their texts, by name; in whatever case, since
/// that is a mistake to be told. Nothing else in it is read.
///
/// # Errors
/// When the folder or one of the files cannot be read as text.
pub fn read_folder(folder: &Path) -> Result<Vec<StoredFile>, Diagnostic> {
    let Folder { files, unread, .. } = read_whatever(folder)?;
    match unread.into_iter().next() {
        Some(first) => Err(first.wrong),
        None => Ok(files),
    }
}

/// The same files as [`read_folder`], where one that cannot be read does not take the others away.
///
/// # Errors
/// When the folder itself cannot be read.
pub fn read_whatever(folder: &Path) -> Result<Folder, Diagnostic> {
    let Listing {
        names,
        mut unread,
        below,
    } = list(folder)?;
    let read = in_threads(&names, |names| {
        let mut buffer = vec![0; BUFFER];
        let files = names
            .iter()
            .map(|name| read_file(&folder.join(name), &mut buffer));
        files.collect::<Vec<_>>()
    });
    let mut files = Vec::with_capacity(names.len());
    for (name, read) in names.iter().zip(read.into_iter().flatten()) {
        match read {
            Ok(file) => files.push(file),
            Err(wrong) => unread.push(Unread {
                name: name.to_string_lossy().into_owned(),
                wrong,
            }),
        }
    }
    unread.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Folder { files, unread, below })
}

/// The names of a folder's files of migrations, in order; none where anything is wrong with the folder.
pub(crate) fn names(folder: &Path) -> Option<Vec<OsString>> {
    let found = list(folder).ok()?;
    (found.unread.is_empty() && found.below.is_empty()).then_some(found.names)
}

/// What a folder has that is called like a migration.
struct Listing {
    /// What can be opened, in order.
    names: Vec<OsString>,
    unread: Vec<Unread>,
    below: Vec<PathBuf>,
}

fn list(folder: &Path) -> Result<Listing, Diagnostic> {
    let (mut unread, mut below) = (Vec::new(), Vec::new());
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error.to_string()))?;
    let mut names = Vec::new();
    for entry in entries {
        let refuse = |error: std::io::Error| unreadable(folder, &error.to_string());
        let entry = entry.map_err(refuse)?;
        let name = entry.file_name();
        // The kind comes with the name.
        let kind = entry.file_type().map_err(refuse)?;
        if !is_migration(&name.to_string_lossy()) {
            if kind.is_dir() {
                look_below(folder, Path::new(&name), DEPTH, &mut below);
            }
            continue;
        }
        // Opening a pipe would wait for whoever writes into it.
        if !kind.is_file() && !kind.is_symlink() {
            unread.push(Unread {
                name: name.to_string_lossy().into_owned(),
                wrong: unreadable(&entry.path(), "it is not a regular file"),
            });
            continue;
        }
        names.push(name);
    }
    names.sort_unstable();
    below.sort_unstable();
    Ok(Listing { names, unread, below })
}

/// Files in a subfolder that are called like migrations. What cannot be looked into holds none that anybody could run.
fn look_below(folder: &Path, at: &Path, depth: usize, out: &mut Vec<PathBuf>) {
    let name = at.file_name().unwrap_or_default().to_string_lossy();
    if depth == 0 || name.starts_with(['.', '_']) {
        return;
    }
    let entries = fs::read_dir(folder.join(at)).into_iter().flatten();
    for entry in entries.flatten() {
        let (name, Ok(kind)) = (entry.file_name(), entry.file_type()) else {
            continue;
        };
        let path = at.join(&name);
        if kind.is_dir() {
            look_below(folder, &path, depth - 1, out);
        } else {
            let name = name.to_string_lossy();
            let is_one = |dialect| file_name(&name, dialect).is_some();
            if is_one(Dialect::Sqlite) || is_one(Dialect::MongoDb) {
                out.push(path);
            }
        }
    }
}

/// Does something with the parts of a long list, each in a thread of its own; answers in the list's order.
pub(crate) fn in_threads<T: Sync, R: Send>(all: &[T], work: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    if all.len() <= PER_THREAD {
        return vec![work(all)];
    }
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = all.len().div_ceil(threads).max(PER_THREAD);
    thread::scope(|scope| {
        let workers: Vec<_> = all
            .chunks(share)
            .map(|part| (part, scope.spawn(|| work(part))))
            .collect();
        // What ended a thread early ends here in the same way.
        let done = workers
            .into_iter()
            .map(|(part, worker)| worker.join().unwrap_or_else(|_| work(part)));
        done.collect()
    })
}

/// By its end alone, in whatever case.
pub(crate) fn is_migration(name: &str) -> bool {
    let ends = |end: &str| {
        let at = name.len().checked_sub(end.len());
        let own = at.and_then(|at| name.get(at..));
        own.is_some_and(|own| own.eq_ignore_ascii_case(end))
    };
    [SQL, ".up.json", ".down.json", SETTINGS].into_iter().any(ends)
}

fn unreadable(path: &Path, cause: &str) -> Diagnostic {
    Diagnostic::error(
        "migrate.unreadable",
        format!("cannot read {}: {cause}", path.display()),
    )
    .help("cutover check")
}

/// Most files are shorter than the buffer: opened, read at once and closed, which is most of the work of a run that finds
/// nothing to do.
pub(crate) fn read_bytes(path: &Path, buffer: &mut [u8]) -> Result<Vec<u8>, Diagnostic> {
    let refuse = |error: std::io::Error| unreadable(path, &error.to_string());
    let mut file = fs::File::open(path).map_err(refuse)?;
    let mut bytes = Vec::new();
    loop {
        let read = file.read(buffer).map_err(refuse)?;
        bytes.extend_from_slice(&buffer[..read]);
        if bytes.len() as u64 > LARGEST {
            return Err(Diagnostic::error(
                "migrate.too-large",
                format!(
                    "{} has more than {LARGEST} bytes, the most that a file may have",
                    path.display()
                ),
            )
            .note("next", "split it, or load such data by a program of its own")
            .help("cutover check"));
        }
        // A file on disk gives less than was asked for only at its end.
        if read < buffer.len() {
            return Ok(bytes);
        }
    }
}

fn read_file(path: &Path, buffer: &mut [u8]) -> Result<StoredFile, Diagnostic> {
    let bytes = read_bytes(path, buffer)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        unreadable(path, &format!("byte {at} is not UTF-8"))
    })?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    Ok(StoredFile { name, text })
}

/// Writes a pair of files with the next number, and answers their paths: up, down. Never overwrites. Where the dialect is not known,
/// the files that are there tell.
///
/// # Errors
/// When the name is none, or the folder cannot be written.
pub fn new_files(
    folder: &Path,
    dialect: Option<Dialect>,
    name: &str,
    phase: MigrationPhase,
    retires: Option<&Version>,
) -> Result<(PathBuf, PathBuf), Diagnostic> {
    let name = plain_name(name)?;
    let refuse = |path: &Path, error: &std::io::Error| unwritable(path, error);
    fs::create_dir_all(folder).map_err(|error| refuse(folder, &error))?;
    let present = read_folder(folder)?;
    let id = next_id(&present, name);
    let wanted = retires;
    let retires = match (phase, retires) {
        (MigrationPhase::Contract, Some(version)) => format!(" retires={version}"),
        (MigrationPhase::Contract, None) => " retires=VERSION".to_owned(),
        (MigrationPhase::Expand | MigrationPhase::Backfill, _) => String::new(),
    };
    let verify = if phase == MigrationPhase::Backfill {
        "-- cutover: verify SELECT count(*) FROM … WHERE …\n"
    } else {
        ""
    };
    let about = id.name.replace('_', " ");
    if dialect == Some(Dialect::MongoDb) || present.iter().any(|file| file.name.ends_with(JSON)) {
        let text = commands(&about, phase, wanted);
        let paths = ["up", "down"].map(|way| folder.join(format!("{id}.{way}{JSON}")));
        for (path, text) in paths.iter().zip([text.as_str(), "[\n]\n"]) {
            fs::File::create_new(path)
                .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
                .map_err(|error| refuse(path, &error))?;
        }
        let [up, down] = paths;
        return Ok((up, down));
    }
    let up = format!("-- {about}\n-- cutover: phase={phase}{retires}\n{verify}\n");
    let down = format!("-- Takes back: {about}\n\n");
    let [up_name, down_name] = pair_names(&present, &id);
    let paths = (folder.join(up_name), folder.join(down_name));
    for (path, text) in [(&paths.0, up), (&paths.1, down)] {
        fs::File::create_new(path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
            .map_err(|error| refuse(path, &error))?;
    }
    Ok(paths)
}

/// An up file of commands, to be filled in.
fn commands(about: &str, phase: MigrationPhase, retires: Option<&Version>) -> String {
    let mut out = format!("{{\n  \"about\": \"{about}\",\n  \"phase\": \"{phase}\",\n");
    if phase == MigrationPhase::Contract {
        let version = retires.map_or_else(|| "VERSION".to_owned(), Version::to_string);
        out.push_str(&format!("  \"retires\": \"{version}\",\n"));
    }
    if phase == MigrationPhase::Backfill {
        out.push_str("  \"verify\": {\"count\": \"…\", \"query\": {}},\n");
    }
    out.push_str("  \"commands\": [\n  ]\n}\n");
    out
}

/// Writes pairs of files with the next numbers, and answers their paths in order. Never overwrites.
///
/// # Errors
/// When the name is none, or the folder cannot be written.
pub fn draft_files(folder: &Path, name: &str, drafts: &[Draft]) -> Result<Vec<PathBuf>, Diagnostic> {
    let name = plain_name(name)?;
    let refuse = |path: &Path, error: &std::io::Error| unwritable(path, error);
    fs::create_dir_all(folder).map_err(|error| refuse(folder, &error))?;
    let mut out = Vec::new();
    for draft in drafts {
        let whole = if draft.suffix.is_empty() {
            name.clone()
        } else {
            format!("{name}_{}", draft.suffix)
        };
        let present = read_folder(folder)?;
        let id = next_id(&present, whole);
        let names = pair_names(&present, &id);
        for (file_name, text) in names.iter().zip([draft.up_text(), draft.down_text()]) {
            let path = folder.join(file_name);
            fs::File::create_new(&path)
                .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
                .map_err(|error| refuse(&path, &error))?;
            out.push(path);
        }
    }
    Ok(out)
}

fn unwritable(path: &Path, error: &std::io::Error) -> Diagnostic {
    Diagnostic::error(
        "migrate.unwritable",
        format!("cannot write {}: {error}", path.display()),
    )
    .help("cutover check")
}

/// Lower case, words joined by `_`.
fn plain_name(name: &str) -> Result<String, Diagnostic> {
    let name = name.trim().to_lowercase().replace([' ', '-'], "_");
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(Diagnostic::error(
            "migrate.bad-name",
            format!("`{name}` is not a name: letters, digits and `_`"),
        )
        .help("cutover migrate new add_full_name --release VERSION"));
    }
    Ok(name)
}

/// Up and down, called as the others in the folder are.
fn pair_names(present: &[StoredFile], id: &MigrationId) -> [String; 2] {
    if present.iter().any(|file| file.name.starts_with('V')) {
        let (number, name) = (id.number, &id.name);
        let width = usize::from(id.width);
        [
            format!("V{number:0width$}__{name}.sql"),
            format!("U{number:0width$}__{name}.sql"),
        ]
    } else {
        [format!("{id}.up.sql"), format!("{id}.down.sql")]
    }
}

fn next_id(files: &[StoredFile], name: String) -> MigrationId {
    let numbers = files
        .iter()
        .filter_map(|file| file.name.split_once('_').map(|(digits, _)| digits))
        .map(|digits| digits.strip_prefix(['V', 'U']).unwrap_or(digits))
        .filter_map(|digits| Some((digits.parse::<u64>().ok()?, digits.len())));
    let (number, width) = numbers.max().unwrap_or((0, 3));
    MigrationId {
        number: number + 1,
        name,
        width: u8::try_from(width).unwrap_or(3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_files_follow_the_last_number_and_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("migrations");
        new_files(&dir, None, "first", MigrationPhase::Expand, None).unwrap();
        let version = Version::new(2, 0, 0);
        let (up, down) =
            new_files(&dir, None, "Drop Names", MigrationPhase::Contract, Some(&version)).unwrap();
        assert!(up.ends_with("002_drop_names.up.sql") && down.ends_with("002_drop_names.down.sql"));
        for path in [dir.join("001_first.up.sql"), up] {
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text + "SELECT 1;\n").unwrap();
        }
        let files = read_folder(&dir).unwrap();
        let found = crate::from_files(&"main".parse().unwrap(), &files, Dialect::Sqlite).unwrap();
        assert_eq!(found[1].migration.retires, Some(version));
        assert!(new_files(&dir, None, "../x", MigrationPhase::Expand, None).is_err());
        let flyway = folder.path().join("flyway");
        fs::create_dir(&flyway).unwrap();
        fs::write(flyway.join("V7__x.sql"), "").unwrap();
        let (up, down) = new_files(&flyway, None, "next", MigrationPhase::Expand, None).unwrap();
        assert!(up.ends_with("V8__next.sql") && down.ends_with("U8__next.sql"));
    }

    #[test]
    fn files_of_commands_are_json() {
        let folder = tempfile::tempdir().unwrap();
        let mongodb = Some(Dialect::MongoDb);
        let version = Version::new(2, 0, 0);
        let (up, down) = new_files(folder.path(), mongodb, "first", MigrationPhase::Expand, None).unwrap();
        assert!(up.ends_with("001_first.up.json") && down.ends_with("001_first.down.json"));
        let contract = MigrationPhase::Contract;
        let (next, _) = new_files(folder.path(), None, "next", contract, Some(&version)).unwrap();
        assert!(next.ends_with("002_next.up.json"));
        for path in [up, next] {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.replace("[\n  ]", r#"[{"create": "a"}]"#);
            fs::write(&path, text).unwrap();
        }
        let files = read_folder(folder.path()).unwrap();
        let found = crate::from_files(&"main".parse().unwrap(), &files, Dialect::MongoDb).unwrap();
        assert_eq!(found[1].migration.retires, Some(version));
        assert_eq!(found[0].migration.summary.as_deref(), Some("first"));
    }

    #[test]
    fn what_is_nearly_a_migration_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        for path in [
            "V1__a.SQL",
            "b.txt",
            "V2__b.sql.conf",
            "2026/01/003_c.up.sql",
            "2026/seed.sql",
            "2026/V4__d.sql",
            "_old/V5__e.sql",
            ".git/V6__f.sql",
            "1/2/3/4/V7__g.sql",
        ] {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = read_whatever(dir).unwrap();
        let names: Vec<_> = found.files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["V1__a.SQL", "V2__b.sql.conf"]);
        let below = ["2026/01/003_c.up.sql", "2026/V4__d.sql"];
        assert_eq!(found.below, below.map(PathBuf::from));
        assert!(found.unread.is_empty());
        assert_eq!(super::names(dir), None);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("001_a.up.sql"), b"SELECT '\xff'").unwrap();
        let error = read_folder(folder.path()).unwrap_err();
        assert_eq!(error.code, "migrate.unreadable");
        assert!(error.message.contains("byte 8 is not UTF-8"), "{error}");
        assert!(read_folder(&folder.path().join("none")).is_err());
        let huge = folder.path().join("000_huge.up.sql");
        let pipe = folder.path().join("001_a.up.sql");
        fs::remove_file(&pipe).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let error = read_folder(folder.path()).unwrap_err();
        assert!(error.message.contains("not a regular file"), "{error}");
        fs::remove_file(&pipe).unwrap();
        fs::File::create(huge).unwrap().set_len(LARGEST + 1).unwrap();
        assert_eq!(read_folder(folder.path()).unwrap_err().code, "migrate.too-large");
    }
}

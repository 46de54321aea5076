//! `tickline db backup` and `restore`: every point as line protocol, a file a shard's span of a policy and
//! measurement. The manifest is written last: a folder without one is no backup.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tickline_config::model::Retention;
use tickline_sinks::admin::contents::Contents;
use tickline_sinks::admin::{AdminError, Policy, Span};

use super::{Database, SinkArgs};
use crate::cli::words::count;
use crate::cli::{Exit, Failure};

const SCHEMA: &str = "tickline.backup/1";

/// Bytes of lines in one request of a restore.
const REQUEST_BYTES: usize = 1 << 20;

/// zstd's own default.
const COMPRESSION: i32 = 3;

/// Arguments of `db backup`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct BackupArgs {
    #[command(flatten)]
    sinks: SinkArgs,
    /// New folder.
    dir: PathBuf,
}

/// Arguments of `db restore`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct RestoreArgs {
    #[command(flatten)]
    sinks: SinkArgs,
    /// Folder that db backup has made.
    dir: PathBuf,
    /// Write everything into this policy. Default: those that it came from, which are made if they are missing.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct BackupManifest {
    schema: String,
    database: String,
    policies: Vec<KeptPolicy>,
    files: Vec<KeptFile>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptPolicy {
    name: String,
    /// Seconds; null: for ever.
    duration_s: Option<u64>,
    shard_duration_s: u64,
    default: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptFile {
    name: String,
    policy: String,
    measurement: String,
    from_ns: i64,
    to_ns: i64,
    points: u64,
    /// Of the file's bytes, hexadecimal.
    sha256: String,
}

pub(super) fn back_up(args: &BackupArgs) -> Result<Exit, Failure> {
    let config = args.sinks.load()?.config;
    let database = args.sinks.database(&config)?;
    let dir = &args.dir;
    let local = |error: std::io::Error| Failure::failed(format!("{}: {error}", dir.display()));
    std::fs::create_dir(dir).map_err(local)?;
    let failed = |error: AdminError| database.failed(error);
    let policies = database.admin.policies().map_err(failed)?;
    let mut files = Vec::new();
    for policy in &policies {
        for measurement in database.admin.measurements().map_err(failed)? {
            let Some(held) = database.admin.contents(&policy.name, &measurement).map_err(failed)? else {
                continue;
            };
            for span in spans(policy, &held) {
                let name = format!("{:06}.lp.zst", files.len());
                files.extend(back_up_span(&database, dir, name, span)?);
            }
        }
    }
    let points: u64 = files.iter().map(|file| file.points).sum();
    let of = |policy: Policy| KeptPolicy {
        name: policy.name,
        duration_s: policy.duration.map(|duration| duration.as_secs()),
        shard_duration_s: policy.shard_duration.as_secs(),
        default: policy.default,
    };
    let manifest = BackupManifest {
        schema: SCHEMA.to_owned(),
        database: database.name.clone(),
        policies: policies.into_iter().map(of).collect(),
        files,
    };
    let text = serde_json::to_vec_pretty(&manifest).map_err(Failure::failed)?;
    write_whole(&dir.join("manifest.json"), &text).map_err(local)?;
    println!(
        "{}: {} points in {} files in {}",
        database.name,
        count(points),
        manifest.files.len(),
        dir.display()
    );
    Ok(Exit::Ok)
}

/// The spans of a policy's shards that a measurement's points lie in.
fn spans<'a>(policy: &'a Policy, held: &'a Contents) -> impl Iterator<Item = Span<'a>> {
    let shard = policy.shard_duration.max(Duration::from_secs(3_600));
    let shard_ns = i64::try_from(shard.as_nanos()).unwrap_or(i64::MAX);
    let (first, last) = (held.first_ns.div_euclid(shard_ns), held.last_ns.div_euclid(shard_ns));
    (first..=last).map(move |at| Span {
        policy: &policy.name,
        measurement: &held.measurement,
        from_ns: at.saturating_mul(shard_ns),
        to_ns: (at + 1).saturating_mul(shard_ns),
        condition: "",
    })
}

/// Writes one file; none if there is nothing to write.
fn back_up_span(
    database: &Database,
    dir: &Path,
    name: String,
    span: Span<'_>,
) -> Result<Option<KeptFile>, Failure> {
    let path = dir.join(&name);
    let local = |error: std::io::Error| Failure::failed(format!("{}: {error}", path.display()));
    let file = File::create_new(&path).map_err(local)?;
    let mut out = zstd::Encoder::new(BufWriter::new(file), COMPRESSION).map_err(local)?;
    let mut written = Ok(());
    let mut line = String::new();
    let points = database.admin.read_points(&span, &mut |point| {
        line.clear();
        point.write_line(&mut line);
        if written.is_ok() {
            written = out.write_all(line.as_bytes());
        }
    });
    let points = points.map_err(|error| database.failed(error))?;
    written.map_err(local)?;
    let file = out.finish().and_then(|out| Ok(out.into_inner()?)).map_err(local)?;
    if points == 0 {
        std::fs::remove_file(&path).map_err(local)?;
        return Ok(None);
    }
    file.sync_all().map_err(local)?;
    let (policy, measurement) = (span.policy.to_owned(), span.measurement.to_owned());
    let sha256 = checksum(&path).map_err(local)?;
    Ok(Some(KeptFile { name, policy, measurement, from_ns: span.from_ns, to_ns: span.to_ns, points, sha256 }))
}

fn write_whole(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(text)?;
    file.sync_all()
}

fn checksum(path: &Path) -> std::io::Result<String> {
    let (mut file, mut hash, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 1 << 16]);
    loop {
        let bytes = file.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        }
        hash.update(buffer.get(..bytes).unwrap_or_default());
    }
}

pub(super) fn restore(args: &RestoreArgs) -> Result<Exit, Failure> {
    let config = args.sinks.load()?.config;
    let database = args.sinks.database(&config)?;
    let manifest = manifest(&args.dir)?;
    if args.policy.is_none() {
        make_policies(&database, &manifest)?;
    }
    let (mut restored, mut missing, mut whole) = (0, 0, true);
    for file in &manifest.files {
        let policy = args.policy.as_deref().unwrap_or(&file.policy);
        let refused = restore_file(&database, &args.dir.join(&file.name), policy)?;
        if let Some(words) = &refused {
            println!("{}: {}: {}: {words}", database.name, policy, file.measurement);
            whole = false;
        }
        let span = Span {
            policy,
            measurement: &file.measurement,
            from_ns: file.from_ns,
            to_ns: file.to_ns,
            condition: "",
        };
        let found = database.admin.read_points(&span, &mut |_| {}).map_err(|error| database.failed(error))?;
        restored += file.points.min(found);
        missing += file.points.saturating_sub(found);
    }
    // Points that were there before may stand for as many that were refused.
    let least = if whole { "" } else { "at least " };
    let missing_words = format!("{least}{} are missing", count(missing));
    println!("{}: {} points are there, {missing_words}", database.name, count(restored));
    Ok(if missing == 0 && whole { Exit::Ok } else { Exit::Failed })
}

/// Reads the manifest and checks every file before anything is written.
fn manifest(dir: &Path) -> Result<BackupManifest, Failure> {
    let path = dir.join("manifest.json");
    let wrong = |why: String| Failure::failed(format!("{}: {why}", path.display()));
    let text = std::fs::read(&path).map_err(|error| wrong(error.to_string()))?;
    let manifest: BackupManifest = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    if manifest.schema != SCHEMA {
        return Err(wrong(format!("schema: must be {SCHEMA:?}, found {:?}", manifest.schema)));
    }
    for file in &manifest.files {
        if file.name.contains('/') {
            return Err(wrong(format!("name: must be a file of the folder, found {:?}", file.name)));
        }
        let found = checksum(&dir.join(&file.name));
        let found = found.map_err(|error| wrong(format!("{}: {error}", file.name)))?;
        if found != file.sha256 {
            return Err(wrong(format!("{}: is not as it was written: nothing was restored", file.name)));
        }
    }
    Ok(manifest)
}

/// Makes the database and the policies that are missing; those that are there stay as they are.
fn make_policies(database: &Database, manifest: &BackupManifest) -> Result<(), Failure> {
    let failed = |error: AdminError| database.failed(error);
    let there = match database.admin.policies() {
        Ok(policies) => policies,
        Err(AdminError::Missing { .. }) => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    let missing =
        manifest.policies.iter().filter(|policy| !there.iter().any(|known| known.name == policy.name));
    let retention = |policy: &KeptPolicy| Retention {
        duration: policy.duration_s.map(Duration::from_secs),
        shard_duration: Duration::from_secs(policy.shard_duration_s),
        // A database that is there has one already.
        default: policy.default && there.is_empty(),
    };
    let missing = missing.map(|policy| (policy.name.clone(), retention(policy))).collect();
    let (changes, _) = database.admin.plan(&missing).map_err(failed)?;
    database.admin.apply(&changes, false).map_err(failed)
}

/// Writes one file; what the server refused of it, in its words.
fn restore_file(database: &Database, path: &Path, policy: &str) -> Result<Option<String>, Failure> {
    let local = |error: std::io::Error| Failure::failed(format!("{}: {error}", path.display()));
    let file = File::open(path).map_err(local)?;
    let mut lines = BufReader::new(zstd::Decoder::new(file).map_err(local)?);
    let (mut request, mut refused) = (Vec::new(), None);
    loop {
        let bytes = lines.read_until(b'\n', &mut request).map_err(local)?;
        if bytes > 0 && request.len() < REQUEST_BYTES {
            continue;
        }
        if request.is_empty() {
            return Ok(refused);
        }
        match database.admin.write_lines(policy, std::mem::take(&mut request).into()) {
            Ok(()) => {}
            // What could be stored is; the count at the end says what is missing.
            Err(AdminError::Answer { detail, .. }) if detail.contains("partial write") => {
                refused = Some(detail)
            }
            Err(error) => return Err(database.failed(error)),
        }
    }
}

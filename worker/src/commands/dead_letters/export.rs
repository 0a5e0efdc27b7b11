//! `dead-letters export`: dead letters as a file, begun anew or gone on with.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use shared::{ids::SequenceNumber, shown::Shown};

use crate::{
    bus::Message,
    commands::{
        print,
        queues::{Queues, choose},
    },
    config::Settings,
    dead_letters::{Selection, record::Record},
};

/// Options of `dead-letters export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to write. If the file is there already, export goes on behind its last message.
    #[arg(value_name = "FILE.jsonl")]
    file: PathBuf,
    #[command(flatten)]
    selection: Selection,
}

/// Writes them.
pub(super) async fn run(settings: &Settings, args: &Args) -> anyhow::Result<ExitCode> {
    let mut output = Output::open(&args.file)?;
    let mut selection = args.selection.clone();
    if let Some(last) = output.last {
        let end = selection.sequence.as_ref().map_or(i64::MAX, |range| *range.end());
        let start = selection.first().0.max(last.0.saturating_add(1));
        if start > end {
            print(&format!("nothing new for {}\n", Shown(args.file.display())))?;
            return Ok(ExitCode::SUCCESS);
        }
        selection.sequence = Some(start..=end);
    }
    let queues = Queues::open(settings, None)?;
    let written = choose(&queues.looking, settings, &selection, |message| output.write(message)).await;
    queues.close().await;
    // What was written stays good even if not all could be looked at.
    output.finish()?;
    written?;
    print(&format!("{} dead letters written to {}\n", output.count, Shown(args.file.display())))?;
    Ok(ExitCode::SUCCESS)
}

/// A file of records.
pub(super) struct Output {
    writer: BufWriter<File>,
    /// The last message that the file held already.
    last: Option<SequenceNumber>,
    /// Messages written.
    pub(super) count: u64,
}

impl Output {
    /// Opens a file behind its last whole line; a line that a crash cut off is written again.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("cannot write {}", path.display());
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        // Bodies are personal data: nobody else on the machine needs to read them.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).with_context(context)?;
        let (end, last) = last_record(&file, path)?;
        file.set_len(end).with_context(context)?;
        file.seek(SeekFrom::End(0)).with_context(context)?;
        Ok(Self { writer: BufWriter::new(file), last, count: 0 })
    }

    pub(super) fn write(&mut self, message: &Message) -> anyhow::Result<()> {
        let line = Record::of(message).line()?;
        self.writer.write_all(line.as_bytes()).context("the file cannot be written")?;
        self.count += 1;
        Ok(())
    }

    /// Returns when everything is on the disk.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.writer.flush().context("the file cannot be written")?;
        self.writer.get_ref().sync_all().context("the file cannot be written")
    }
}

/// Where the last whole record ends, and its number.
fn last_record(file: &File, path: &Path) -> anyhow::Result<(u64, Option<SequenceNumber>)> {
    let (mut end, mut last, mut line) = (0, None, String::new());
    let mut reader = BufReader::new(file);
    loop {
        line.clear();
        let read = reader.read_line(&mut line).with_context(|| format!("cannot read {}", path.display()))?;
        if read == 0 || !line.ends_with('\n') {
            return Ok((end, last));
        }
        let record = Record::parse(&line);
        let record = record.with_context(|| format!("{} is no file of dead letters", path.display()))?;
        last = Some(record.sequence());
        end += read as u64;
    }
}

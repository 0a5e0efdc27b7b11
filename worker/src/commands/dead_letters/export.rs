//! `dead-letters export`: dead letters as a file, begun anew or gone on with.

use std::{
    collections::HashSet,
    fs::{File, TryLockError},
    io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail, ensure};
use serde::de::IgnoredAny;
use servicebus::{Message, clock};
use shared::{ids::SequenceNumber, shown::Shown};
use uuid::Uuid;

use crate::{
    commands::{
        print_words,
        probes::counted,
        queues::{Queues, choose},
    },
    operate::dead_letters::{
        Selection,
        record::{Record, RecordIdentity},
    },
    private_file,
    settings::{QueueAlone, Settings},
};

/// Options of `dead-letters export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// File to write. If it exists, export continues after its last message.
    #[arg(value_name = "FILE.jsonl")]
    file: PathBuf,
    #[command(flatten)]
    selection: Selection,
}

/// Writes them.
pub(super) async fn run(settings: &Settings<QueueAlone>, args: &Args) -> anyhow::Result<ExitCode> {
    let mut output = Output::open(&args.file)?;
    let mut selection = args.selection.clone();
    if let Some(last) = output.last {
        let end = selection.sequence.as_ref().map_or(i64::MAX, |range| *range.end());
        let start = selection.first().0.max(last.0.saturating_add(1));
        if start > end {
            print_words(&format!("Nothing new for {}.\n", Shown(args.file.display())))?;
            return Ok(ExitCode::SUCCESS);
        }
        selection.sequence = Some(start..=end);
    }
    let queues = Queues::open(settings, None)?;
    let written = choose(&queues, &settings.planner, &selection, |message| output.write(message)).await;
    queues.close().await;
    // What was written stays good even if not all could be looked at.
    output.finish()?;
    written?;
    let written = counted(output.count, "dead letter");
    print_words(&format!("{written} written to {}\n", Shown(args.file.display())))?;
    Ok(ExitCode::SUCCESS)
}

/// Bytes of a line; no message is nearly as long. A file that is one endless line is not read to its end.
const LONGEST_LINE: u64 = 256 << 20;

/// A file of records. A message that stands in it is not written again.
pub(in crate::commands) struct Output {
    writer: BufWriter<File>,
    /// The last message that the file held already.
    last: Option<SequenceNumber>,
    /// All of them.
    known: HashSet<RecordIdentity>,
    /// Messages written.
    pub(super) count: u64,
    /// Messages that were to be written and stood there already.
    pub(in crate::commands) there: u64,
    /// Whether the last line was cut off, and is gone.
    pub(in crate::commands) cut: bool,
}

impl Output {
    /// The file that was named, or else a new one for messages of this kind; with its name.
    pub(in crate::commands) fn choose(named: Option<&Path>, kind: &str) -> anyhow::Result<(PathBuf, Self)> {
        if let Some(path) = named {
            return Ok((path.to_owned(), Self::open(path)?));
        }
        // Nobody can have guessed the name.
        let now = clock::now().strftime("%Y%m%dT%H%M%SZ");
        let path = PathBuf::from(format!("{kind}-{now}-{}.jsonl", Uuid::new_v4().simple()));
        let output = Self::create(&path)?;
        Ok((path, output))
    }

    /// Opens a file behind its last whole line; a line that a crash cut off is written again.
    pub(in crate::commands) fn open(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("cannot write {}", path.display());
        let mut file = private_file::open(path).with_context(context)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            bail!("another command is writing to {}; wait for its end, or name another file", path.display());
        }
        let Before { end, last, known, unended, cut } = before(&file, path)?;
        file.set_len(end).with_context(context)?;
        file.seek(SeekFrom::End(0)).with_context(context)?;
        let mut writer = BufWriter::new(file);
        if unended {
            writer.write_all(b"\n").with_context(context)?;
        }
        Ok(Self { writer, last, known, count: 0, there: 0, cut })
    }

    /// Begins a file of a name that is not taken yet.
    pub(in crate::commands) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = private_file::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let (writer, known) = (BufWriter::new(file), HashSet::new());
        Ok(Self { writer, last: None, known, count: 0, there: 0, cut: false })
    }

    pub(in crate::commands) fn write(&mut self, message: &Message) -> anyhow::Result<()> {
        let record = Record::of(message);
        if self.known.contains(&record.identity()) {
            self.there += 1;
            return Ok(());
        }
        let line = record.line()?;
        self.writer.write_all(line.as_bytes()).context("the file cannot be written")?;
        self.count += 1;
        Ok(())
    }

    /// Returns when everything is on the disk.
    pub(in crate::commands) fn finish(&mut self) -> anyhow::Result<()> {
        self.writer.flush().context("the file cannot be written")?;
        self.writer.get_ref().sync_all().context("the file cannot be written")
    }
}

/// What a file holds already.
#[derive(Debug, Default)]
struct Before {
    /// Where the last whole record ends, in bytes.
    end: u64,
    /// Its number.
    last: Option<SequenceNumber>,
    /// All records.
    known: HashSet<RecordIdentity>,
    /// Whether the line of the last one has no end.
    unended: bool,
    /// Whether there is the beginning of another one.
    cut: bool,
}

/// Reads what is there. What is behind the last record is given up, so it must be the beginning of another one: a file
/// of something else has no end of a line, perhaps.
fn before(file: &File, path: &Path) -> anyhow::Result<Before> {
    let other = || {
        format!("{} is no file of exported messages; it stays as it is, so name another one", path.display())
    };
    let (mut before, mut line) = (Before::default(), Vec::new());
    let mut reader = BufReader::new(file);
    loop {
        line.clear();
        let mut beginning = (&mut reader).take(LONGEST_LINE);
        let read = beginning.read_until(b'\n', &mut line);
        let read = read.with_context(|| format!("cannot read {}", path.display()))?;
        before.unended = !line.ends_with(b"\n");
        // What a crash has cut off is no whole value of JSON.
        if before.unended && serde_json::from_slice::<IgnoredAny>(&line).is_err() {
            ensure!(Record::may_begin(&line) && (read as u64) < LONGEST_LINE, other());
            return Ok(Before { unended: false, cut: read > 0, ..before });
        }
        let record = std::str::from_utf8(&line).map_err(anyhow::Error::from);
        let record = record.and_then(|line| Ok(Record::parse(line)?)).with_context(other)?;
        before.last = Some(record.sequence());
        before.known.insert(record.identity());
        before.end += read as u64;
        if before.unended {
            return Ok(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn record(sequence: i64) -> String {
        let message = Message {
            sequence: SequenceNumber(sequence),
            delivery_count: shared::ids::DeliveryCount(1),
            message_id: Some("é".into()),
            body: Ok("ü".into()),
            ..Message::default()
        };
        Record::of(&message).line().expect("a line")
    }

    fn opened(text: &[u8]) -> (anyhow::Result<Option<SequenceNumber>>, Vec<u8>) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("letters.jsonl");
        let mut file = private_file::create(&path).expect("made");
        file.write_all(text).expect("written");
        let last = Output::open(&path).and_then(|mut output| output.finish().map(|()| output.last));
        (last, std::fs::read(&path).expect("read"))
    }

    #[test]
    fn a_file_of_something_else_is_left_as_it_is() {
        let other = [
            r#"{"victim":"a file without newline"}"#,
            "x",
            "{",
            "[1, 2]",
            r#"{"sequence":7}"#,
            r#"{"sequence":7,"name":"theirs"#,
            r#"{"sequence":"#,
            r#"{"sequence":x"#,
            "\n",
            "a\nb",
            "caf\u{e9}",
        ];
        let cut = |text: &str| r#"{"sequence":"#.starts_with(text);
        for text in other.into_iter().filter(|text| !cut(text)) {
            for before in [String::new(), record(3)] {
                let text = before + text;
                let (last, left) = opened(text.as_bytes());
                let error = last.expect_err(&text).to_string();
                assert!(error.ends_with("it stays as it is, so name another one"), "{error}");
                assert_eq!(left, text.as_bytes());
            }
        }
        assert!(opened(&vec![b'x'; 100_000]).0.is_err());
    }

    fn message(sequence: i64, body: &str) -> Message {
        Message { sequence: SequenceNumber(sequence), body: Ok(body.to_owned().into()), ..Message::default() }
    }

    #[test]
    fn two_commands_do_not_write_to_one_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("letters.jsonl");
        let first = Output::open(&path).expect("opened");
        let error = Output::open(&path).map(drop).expect_err("it is being written").to_string();
        assert!(error.starts_with("another command is writing to"), "{error}");
        drop(first);
        Output::open(&path).expect("free again");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(50) })]

        #[test]
        fn a_file_that_is_gone_on_with_after_any_cut_holds_each_message_once(
            first in vec((0_i64..6, "[ab]?"), 0..8), second in vec((0_i64..6, "[ab]?"), 0..8), cut in 0..1_000_usize,
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("letters.jsonl");
            let write = |messages: &[(i64, String)]| {
                let mut output = Output::open(&path).expect("opened");
                for (sequence, body) in messages {
                    output.write(&message(*sequence, body)).expect("written");
                }
                output.finish().expect("written");
                output.cut
            };
            let each = |messages: &[(i64, String)]| messages.iter().cloned().collect::<HashSet<_>>();
            // A command sees each message once.
            let (first, second) = (each(&first), each(&second));
            let (first, second) = (Vec::from_iter(first), Vec::from_iter(second));
            write(&first);
            let whole = std::fs::read(&path).expect("read");
            std::fs::write(&path, &whole[..whole.len() - cut.min(whole.len())]).expect("written");
            // What was cut off is in the queue still, because nothing is taken out of it before.
            let again = [first.clone(), second.into_iter().filter(|one| !first.contains(one)).collect()].concat();
            let left = std::fs::read(&path).expect("read");
            let is_cut = !left.is_empty() && !left.ends_with(b"\n") && !left.ends_with(b"}");
            prop_assert_eq!(write(&again), is_cut);
            let text = std::fs::read_to_string(&path).expect("read");
            let read = |line: &str| {
                let message = Record::parse(line).expect("a record").message().expect("a message");
                let body = String::from_utf8(message.body.expect("a body").to_vec()).expect("text");
                (message.sequence.0, body)
            };
            let read: Vec<_> = text.lines().map(read).collect();
            prop_assert_eq!(read.len(), again.len());
            prop_assert_eq!(each(&read), each(&again));
        }

        #[test]
        fn a_file_that_was_cut_off_anywhere_is_gone_on_with(numbers in vec(any::<i64>(), 1..4), cut in 1..1_000_usize) {
            let text: String = numbers.iter().map(|number| record(*number)).collect();
            let mut text = text.as_bytes()[..text.len() - cut.min(text.len())].to_vec();
            let (last, left) = opened(&text);
            if text.ends_with(b"}") {
                // Nothing but the end of the line is missing, and nothing of it has to be written again.
                text.push(b'\n');
            }
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let count = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")).count();
            let last = last.expect("gone on with").map(|number| number.0);
            prop_assert_eq!(last, count.checked_sub(1).map(|index| numbers[index]));
            prop_assert_eq!(left, &text[..whole]);
        }
    }
}

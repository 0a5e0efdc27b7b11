//! Thousands of bent inputs for everything that reads bytes of others, each in a child process: none ends it, none
//! breaks a rule, none makes it hold much memory. `tests/fuzz` looks longer.

use anyhow::{Result, ensure};
use tests::mutate::{mutants, survive};

/// So deep that a reader that calls itself for each level ends its process.
const DEEP: usize = 100_000;
/// Inputs are at most some hundred kilobytes; whoever holds so much has believed what they announce.
const MOST_MEMORY: u64 = 64 << 20;

/// Bends the seeds of a target, adds what is to be tried besides, and demands that all of it is survived.
#[expect(clippy::print_stdout, reason = "what was tried, for whoever asks to see it")]
fn check(name: &str, bent: usize, besides: Vec<Vec<u8>>) -> Result<()> {
    let target = fuzz::target(name).expect("a target");
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{name} has nothing to begin with");
    let mut inputs = seeds.clone();
    inputs.extend(besides);
    inputs.extend(mutants(&seeds, bent, 16));
    let report = survive(&format!("hostile::mutation::{name}"), &inputs, target.check)?;
    let (tried, memory) = (report.tried, report.memory);
    println!("{name}: {tried} tried, {} fallen, {} KB held", report.fallen.len(), memory / 1024);
    let told = |(index, how): &(usize, String)| {
        let input: String = String::from_utf8_lossy(&inputs[*index]).chars().take(300).collect();
        format!("\n  input {index}: {how}\n    {input:?}")
    };
    let fallen: String = report.fallen.iter().map(told).collect();
    ensure!(fallen.is_empty(), "{name}: {} of {tried} were not survived:{fallen}", report.fallen.len());
    ensure!(report.tried == inputs.len());
    ensure!(report.memory < MOST_MEMORY, "{name}: {} bytes were held", report.memory);
    Ok(())
}

/// What nests: in a place where everything is read, and where nothing is expected.
fn nested(before: &str, open: &str, close: &str, after: &str) -> [Vec<u8>; 2] {
    let (opened, closed) = (open.repeat(DEEP), close.repeat(DEEP));
    [format!("{before}{opened}{closed}{after}").into_bytes(), format!("{before}{opened}").into_bytes()]
}

#[test]
fn admin() -> Result<()> {
    let inside = ("<entry><content><QueueDescription>", "</QueueDescription></content></entry>");
    let deep = [
        nested("", "<a>", "</a>", ""),
        nested(inside.0, "<CountDetails>", "</CountDetails>", inside.1),
        nested(inside.0, "<a b='", "'/>", inside.1),
        nested(inside.0, "&amp;", "", inside.1),
        nested("", "<QueueDescription>", "</QueueDescription>", ""),
    ];
    check("admin", 8_000, deep.concat())
}

#[test]
fn token() -> Result<()> {
    let deep = [
        nested("200\n", "[", "]", ""),
        nested("200\n", "{\"a\":", "}", ""),
        nested("200\n{\"access_token\":", "[", "]", ",\"expires_in\":1}"),
        nested("400\n{\"error\":", "{\"a\":", "}", "}"),
        nested("400\n{\"error_codes\":", "[", "]", "}"),
    ];
    check("token", 4_000, deep.concat())
}

#[test]
fn graph() -> Result<()> {
    let deep = [
        nested("400|r|\n", "[", "]", ""),
        nested("200|r|\n{\"id\":\"1\",\"x\":", "[", "]", "}"),
        nested("200|r|\n{\"id\":\"1\",\"identities\":", "[", "]", "}"),
        nested("400|r|\n{\"error\":{\"code\":\"a\",\"details\":", "[{\"a\":", "}]", "}}"),
        nested("400|r|\n{\"error\":", "{\"error\":", "}", "}"),
    ];
    check("graph", 8_000, deep.concat())
}

#[test]
fn dataverse() -> Result<()> {
    let deep = [
        nested("200|\n", "[", "]", ""),
        nested("200|\n{\"contactid\":", "[", "]", "}"),
        nested("400|\n{\"error\":{\"message\":", "{\"a\":", "}", "}}"),
        nested("401|Bearer authorization_uri=https://l", "/", "", "\n"),
    ];
    check("dataverse", 4_000, deep.concat())
}

#[test]
fn settings() -> Result<()> {
    let deep = [
        nested("[mapping]\nrows = ", "[", "]", "\n"),
        nested("x = ", "{a=", "}", "\n"),
        nested("[", "a.", "", "b]\nc = 1\n"),
        nested("", "a.", "", "b = 1\n"),
        nested("\n----\nCONTACTSYNC__MAPPING__ROWS=", "[", "]", "\n"),
    ];
    check("settings", 3_000, deep.concat())
}

#[test]
fn record() -> Result<()> {
    let line = "{\"sequence\":1,\"properties\":[[\"a\",\"text\",";
    check("record", 8_000, [nested(line, "[", "]", "]]}"), nested("", "[", "]", "")].concat())
}

#[test]
fn mark() -> Result<()> {
    let deep = [
        nested("", "cs1|", ":a", ""),
        nested("cs1|", "1:acs1|", "", "x"),
        nested("", "cs1|1:abcd|", "", "1"),
    ];
    check("mark", 8_000, deep.concat())
}

#[test]
fn trace() -> Result<()> {
    check("trace", 8_000, nested("00-", "-", "", "01").into())
}

#[test]
fn json() -> Result<()> {
    let deep = [
        nested("", "[", "]", ""),
        nested("{\"InputParameters\":", "[", "]", "}"),
        nested("", "{\"a\":", "}", ""),
    ];
    check("json", 1_500, deep.concat())
}

#[test]
fn xml() -> Result<()> {
    let root = "<RemoteExecutionContext>";
    let deep = [nested("", "<a>", "</a>", ""), nested(root, "<InputParameters>", "</InputParameters>", "")];
    check("xml", 1_500, deep.concat())
}

#[test]
fn binary() -> Result<()> {
    // Short elements without a namespace, which take four bytes a level.
    check("binary", 3_000, nested("", "@\u{1}a", "\u{1}", "").into())
}

#[test]
fn message() -> Result<()> {
    check("message", 8_000, fuzz::deep(DEEP))
}

#[test]
fn peeked() -> Result<()> {
    check("peeked", 8_000, fuzz::deep(DEEP))
}

#[test]
fn reply() -> Result<()> {
    check("reply", 8_000, fuzz::deep(DEEP))
}

#[test]
fn frames() -> Result<()> {
    // A transfer of channel 0 with each of them; the first byte says that all of it comes at once.
    let transfers = fuzz::deep(DEEP).into_iter().map(|message| {
        let body = [b"\x00\x53\x14\x45".to_vec(), message].concat();
        let length = u32::try_from(body.len() + 8).unwrap_or_default().to_be_bytes();
        [b"\xffAMQP\0\x01\0\0", &length[..], b"\x02\0\0\0", &body].concat()
    });
    check("frames", 8_000, transfers.collect())
}

#[test]
fn connection() -> Result<()> {
    check("connection", 8_000, Vec::new())
}

#[test]
fn terminal() -> Result<()> {
    check("terminal", 8_000, nested("", "\u{202e}", "\u{1b}[", "").into())
}

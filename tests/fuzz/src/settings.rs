//! Settings: a file, a line of dashes, and lines of the environment.

use std::path::Path;

use toml::{Table, Value};
use worker::settings;

use crate::texts;

/// Stands where a secret stands, and must not be told.
const SECRET: &str = "5eCr3t-0f-n0b0dy-e15e";
const CONNECTION_STRING: &str = "connection_string";
/// Between the file and the environment.
const LINE: &str = "\n----\n";

/// Every mistake is told in a bounded text, and no value is.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (file, environment) = text.split_once(LINE).unwrap_or((&text, ""));
    let environment: Vec<_> = environment
        .lines()
        .filter_map(|line| line.split_once('='))
        // Those name files of this machine.
        .filter(|(name, _)| !name.ends_with("_FILE"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let named = environment.iter().any(|(name, _)| name.contains(SECRET));
    // Where the secret is the name of a key, it is the key that is told to be wrong.
    let named = named || file.parse::<Table>().is_ok_and(|table| has_key(&table, SECRET));
    let told = match settings::parse(Some((Path::new("file"), file)), environment) {
        Ok(settings) => {
            assert!(settings.engine.lanes.concurrency > 0);
            format!("{:?}", settings.bus.source)
        }
        Err(problems) => {
            assert!(!problems.0.is_empty(), "refused without a reason");
            // Connection strings have a target of their own.
            let others = problems.0.iter().filter(|problem| !problem.place.contains(CONNECTION_STRING));
            others.map(ToString::to_string).collect::<Vec<_>>().join("\n")
        }
    };
    assert!(named || !told.contains(SECRET), "a secret is told: {told}");
    assert!(told.len() < 64 * bytes.len() + 100_000, "too much is told");
}

fn has_key(table: &Table, part: &str) -> bool {
    table.iter().any(|(name, value)| {
        name.contains(part) || matches!(value, Value::Table(inner) if has_key(inner, part))
    })
}

/// A whole file, and each of the ways to say a thing wrong.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let whole = format!(
        "[service_bus]\nconnection_string = \"Endpoint=sb://ns;SharedAccessKeyName=n;SharedAccessKey={SECRET}\"\nqueue = \"contacts\"\n\
         [identity]\ntenant = \"contoso\"\nclient_id = \"00112233-4455-6677-8899-aabbccddeeff\"\nclient_secret = \"{SECRET}\"\n\
         [mapping]\npreset = \"b2c\"\nrows = [{{ column = \"a\", property = \"mail\" }}]\n[guard]\nattribute = \"extensionAttribute15\"\n\
         [throttle]\nwrites_per_second = 3\n[telemetry]\notlp_headers = \"key={SECRET}\"\n{LINE}CONTACTSYNC__POOL__MEGABYTES=7\n"
    );
    let environment = format!(
        "{LINE}CONTACTSYNC__SERVICE_BUS__CONNECTION_STRING={SECRET}\nCONTACTSYNC__IDENTITY__CLIENT_SECRET={SECRET}\n\
         CONTACTSYNC__FILTER__ORGANIZATIONS=[\"a\"]\nCONTACTSYNC__MAPPING__ROWS=a=mail\nHTTPS_PROXY=http://user:{SECRET}@proxy:1\n"
    );
    let broken =
        format!("[service_bus]\nconnection_string = {SECRET}\n[identity]\nclient_secret = [\"{SECRET}\"]\n");
    let mut seeds = texts(&[&whole, &environment, &broken, settings::DEFAULTS]);
    seeds.push(
        format!("[graph]\nroot = \"https://user:{SECRET}@graph.example\"\n[identity]\nkind = \"{SECRET}\"\n")
            .into_bytes(),
    );
    seeds
}

//! A settings file to begin with: the defaults and their reasons, everything commented out but what nobody else
//! can know.

use super::source::DEFAULTS;

/// What has to be filled in as a rule.
const OPEN: [&str; 5] = [
    "service_bus.connection_string",
    "service_bus.queue",
    "identity.tenant",
    "identity.client_id",
    "identity.client_secret",
];

const HEAD: &str = "\
# contactsync.toml: the settings of this installation.
#
# Fill in what stands open below, then run `contactsync check`. A line such as #key = value shows a default: remove
# the leading mark to change it. To sign in without keys, fill in service_bus.namespace instead of the connection string and
# choose another identity.kind.
#
";

/// The text of the file.
#[must_use]
pub fn starter() -> String {
    let mut text = HEAD.to_owned();
    let mut section = String::new();
    // The first lines of the defaults are about that file, not about this one.
    let about = DEFAULTS.lines().skip_while(|line| !line.starts_with("# CONTACTSYNC__SECTION__KEY"));
    text.push_str("# Any key can also come from the environment as\n");
    for line in about {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        }
        let key = line.split_once(" = ").map(|(key, _)| key).filter(|key| !key.starts_with('#'));
        if key.is_some_and(|key| !OPEN.contains(&format!("{section}{key}").as_str())) {
            text.push('#');
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Parts, SettingOrigin};

    #[test]
    fn a_starter_sets_nothing_but_what_is_open_and_shows_every_default() {
        let text = starter();
        let parts = Parts::of(Some(("contactsync.toml".as_ref(), &text)), Vec::new()).expect("TOML");
        let set: Vec<_> = parts
            .entries
            .iter()
            .filter(|(_, entry)| entry.origin != SettingOrigin::Default)
            .map(|(key, _)| key.as_str())
            .collect();
        assert_eq!(
            set,
            [
                "identity.client_id",
                "identity.client_secret",
                "identity.tenant",
                "service_bus.connection_string",
                "service_bus.queue"
            ]
        );
        let keys = |text: &str, lead: &str| {
            let is_key = |line: &&str| {
                line.strip_prefix(lead).is_some_and(|line| {
                    line.split_once(" = ")
                        .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
                })
            };
            text.lines().filter(is_key).count()
        };
        assert_eq!(keys(&text, "#") + keys(&text, ""), keys(DEFAULTS, ""), "no key is lost");
        let (open, rest): (Vec<_>, Vec<_>) =
            parts.problems.iter().partition(|problem| problem.text.contains("is required"));
        assert_eq!((open.len(), rest.len()), (OPEN.len() - 1, 0), "what is open is told: {open:?}");
    }
}

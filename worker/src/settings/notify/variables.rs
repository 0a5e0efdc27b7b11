//! Channels from the environment: `CONTACTSYNC__NOTIFY__CHANNEL__NAME__KEY` sets a key of the channel of that name.

use toml::{Table, Value};

/// Where the entries stand.
pub(in crate::settings) const CHANNEL: &str = "notify.channel";

/// There is no such channel.
pub(in crate::settings) struct UnknownChannel {
    /// The names of those that there are.
    pub(in crate::settings) known: Vec<String>,
}

/// Lays `text` over a key of a channel in `list`; `place` is `name.key`, as it is left of the variable's name.
pub(in crate::settings) fn lay_over(
    list: &mut Value,
    place: &str,
    text: String,
) -> Result<(), UnknownChannel> {
    let entries = list.as_array_mut().map(Vec::as_mut_slice).unwrap_or_default();
    let names = entries.iter().filter_map(|entry| entry.get("name")?.as_str());
    let known = names.map(str::to_owned).collect();
    let mut tables = entries.iter_mut().filter_map(Value::as_table_mut);
    match place.split_once('.') {
        Some((name, key)) => match tables.find(|table| is_called(table, name)) {
            Some(table) => {
                table.insert(key.to_owned(), Value::String(text));
                Ok(())
            }
            None => Err(UnknownChannel { known }),
        },
        None => Err(UnknownChannel { known }),
    }
}

fn is_called(table: &Table, name: &str) -> bool {
    let own = table.get("name").and_then(Value::as_str);
    own.is_some_and(|own| own.to_ascii_lowercase().replace('-', "_") == name)
}

//! The columns that the settings name: whether they are there, and whether their values are shown. A secured column reads as
//! empty without a word, and an empty value would be written to the user.

use std::collections::{BTreeMap, BTreeSet};

use shared::reason::chain;

use crate::{
    dataverse::{Column, Error},
    settings::check::{Probe, Severity},
};

pub(super) const CHECK: &str = "columns";

pub(super) fn probes(needed: &BTreeSet<&str>, columns: Result<Vec<Column>, Error>) -> Vec<Probe> {
    match columns {
        Ok(columns) => judge(needed, &columns),
        Err(error) => {
            let what = format!("whether columns are secured cannot be told: {}", chain(&error));
            vec![Probe::found(Severity::Warning, CHECK, what, error.remedy())]
        }
    }
}

/// What to read of a row.
pub(super) fn select(needed: &BTreeSet<&str>, columns: &[Column]) -> String {
    let meant = columns.iter().filter(|column| needed.contains(&*column.logical_name));
    meant.map(Column::in_rows).collect::<Vec<_>>().join(",")
}

fn judge(needed: &BTreeSet<&str>, columns: &[Column]) -> Vec<Probe> {
    let known: BTreeMap<_, _> = columns.iter().map(|column| (&*column.logical_name, column)).collect();
    let of = |is_meant: fn(Option<&&Column>) -> bool| {
        let found: Vec<_> = needed.iter().copied().filter(|column| is_meant(known.get(column))).collect();
        (!found.is_empty()).then(|| found.join(", "))
    };
    let missing = of(|column| column.is_none()).map(|names| {
        Probe::failed(
            CHECK,
            format!("contact has no column {names}"),
            "see how it is written in the mapping, the link and the filter; columns that begin with adx_ come with the portal",
        )
    });
    let secured = of(|column| column.is_some_and(|column| column.is_secured == Some(true))).map(|names| {
        Probe::failed(
            CHECK,
            format!(
                "{names} is secured: whoever may not see it reads it as empty, and users would be emptied"
            ),
            "take it out of the mapping, or switch column security off for it",
        )
    });
    let hidden =
        of(|column| column.is_some_and(|column| column.is_valid_for_read == Some(false))).map(|names| {
            Probe::failed(CHECK, format!("{names} is shown in no row"), "take it out of the mapping")
        });
    let found: Vec<_> = [missing, secured, hidden].into_iter().flatten().collect();
    if found.is_empty() {
        let names: Vec<_> = needed.iter().copied().collect();
        return vec![Probe::good(CHECK, format!("{} are there, and none is secured", names.join(", ")))];
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn results(needed: &[&str]) -> Vec<(&'static str, String)> {
        let columns = json!([
            {"LogicalName": "firstname", "AttributeType": "String", "IsSecured": false, "IsValidForRead": true},
            {"LogicalName": "lastname"},
            {"LogicalName": "emailaddress1", "IsSecured": true},
            {"LogicalName": "fullname_yomi", "IsSecured": false, "IsValidForRead": false},
            {"LogicalName": "other", "IsSecured": true},
        ]);
        let columns: Vec<Column> = serde_json::from_value(columns).expect("columns");
        let needed = needed.iter().copied().collect();
        judge(&needed, &columns).into_iter().map(|probe| (probe.result(), probe.what)).collect()
    }

    #[test]
    fn columns_that_are_missing_secured_or_not_shown_fail_and_others_do_not_matter() {
        let good = "firstname, lastname are there, and none is secured".to_owned();
        assert_eq!(results(&["lastname", "firstname"]), [("ok", good)]);
        let told = results(&["emailaddress1", "firstname", "fullname_yomi", "gone", "lost"]);
        assert!(told.iter().all(|(result, _)| *result == "failed"), "{told:?}");
        let told: Vec<_> = told.into_iter().map(|(_, what)| what).collect();
        assert_eq!(told[0], "contact has no column gone, lost");
        assert!(
            told[1].starts_with("emailaddress1 is secured") && told[2].starts_with("fullname_yomi is shown")
        );
    }
}

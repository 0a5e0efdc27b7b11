//! What the application user may read. A depth below Organization is no error of Dataverse: it shows fewer rows, and
//! whoever compares takes the others for deleted.

use shared::reason::chain;

use crate::{
    dataverse::{Error, HeldPrivilege, HeldRights, PrivilegeDepth, READ_CONTACT, Table},
    settings::check::{Probe, Severity},
};

pub(super) const CHECK: &str = "role";

/// What only some commands need.
const FOR_JOBS: [&str; 3] =
    ["prvReadServiceEndpoint", "prvReadSdkMessageProcessingStep", "prvReadAsyncOperation"];
/// What a reader of contacts does not need.
const TOO_MUCH: [&str; 3] = ["prvCreateContact", "prvWriteContact", "prvDeleteContact"];

/// Judges what the user holds. The table helps where privileges come without their names.
pub(super) fn probes(held: Result<Vec<HeldPrivilege>, Error>, table: Option<&Table>) -> Vec<Probe> {
    match held {
        Ok(held) => judge(&HeldRights { held: &held, table }),
        Err(error) => {
            let what = format!("what the user may do cannot be told: {}", chain(&error));
            vec![Probe::found(Severity::Warning, CHECK, what, error.remedy())]
        }
    }
}

fn judge(held: &HeldRights<'_>) -> Vec<Probe> {
    let mut probes = vec![contacts(held.depth(READ_CONTACT))];
    let missing: Vec<_> = FOR_JOBS.into_iter().filter(|name| held.depth(name).is_none()).collect();
    if held.names() && !missing.is_empty() {
        probes.push(Probe::found(
            Severity::Note,
            CHECK,
            format!("contactsync dataverse jobs cannot look everywhere: {} is missing", missing.join(", ")),
            "give them to the role for the whole organization, if the command is to be used by this user",
        ));
    }
    let more: Vec<_> = TOO_MUCH.into_iter().filter(|name| held.depth(name).is_some()).collect();
    if !more.is_empty() {
        let what = format!("the user may do more with contacts than read them: {}", more.join(", "));
        probes.push(Probe::found(Severity::Warning, CHECK, what, "take these privileges away from the role"));
    }
    probes
}

fn contacts(depth: Option<PrivilegeDepth>) -> Probe {
    let remedy = "give the role of the application user prvReadContact with the depth Organization; a change of a role takes a \
                  minute or two to count";
    match depth {
        Some(PrivilegeDepth::Global) => Probe::good(CHECK, "all contacts of the organization can be read"),
        Some(PrivilegeDepth::Basic) => Probe::found(
            Severity::Warning,
            CHECK,
            "prvReadContact is reported with the depth User: either only contacts of the user itself can be read, or the \
             role comes by a team, of which dataverse does not tell the depth",
            "give the role to the application user itself, with the depth Organization",
        ),
        Some(PrivilegeDepth::Local | PrivilegeDepth::Deep) => Probe::failed(
            CHECK,
            "only contacts of the own business unit can be read; dataverse leaves the others out without a word",
            remedy,
        ),
        None => {
            Probe::failed(CHECK, "contacts cannot be read: the privilege prvReadContact is missing", remedy)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "5531d753-95af-4711-a94e-000d3a11e605";

    fn results(held: serde_json::Value) -> Vec<(&'static str, String)> {
        let held: Vec<HeldPrivilege> = serde_json::from_value(held).expect("privileges");
        let table = json!({"Privileges": [{"Name": "prvReadContact", "PrivilegeId": ID}]});
        let table: Table = serde_json::from_value(table).expect("a table");
        judge(&HeldRights { held: &held, table: Some(&table) })
            .into_iter()
            .map(|probe| (probe.result(), probe.what))
            .collect()
    }

    fn named(privileges: &[(&str, &str)]) -> serde_json::Value {
        let jobs = FOR_JOBS.map(|name| (name, "Global"));
        let all = privileges.iter().chain(&jobs);
        all.map(|(name, depth)| json!({"Depth": depth, "PrivilegeName": name})).collect()
    }

    #[test]
    fn contacts_have_to_be_readable_in_the_whole_organization() {
        for (depth, expected) in [
            ("Global", "ok"),
            ("Basic", "warning"),
            ("Local", "failed"),
            ("Deep", "failed"),
            ("Odd", "failed"),
        ] {
            let told = results(named(&[("prvReadContact", depth)]));
            assert_eq!((told.len(), told[0].0), (1, expected), "{depth}: {told:?}");
        }
        assert_eq!(results(named(&[]))[0].0, "failed");
        let widest = results(named(&[("prvReadContact", "Basic"), ("prvReadContact", "Global")]));
        assert_eq!(widest[0].0, "ok", "the widest role counts");
    }

    #[test]
    fn a_privilege_is_known_by_its_id_where_its_name_is_left_out() {
        let told = results(json!([{"Depth": "Global", "PrivilegeId": ID}]));
        assert_eq!(told, [("ok", "all contacts of the organization can be read".to_owned())]);
    }

    #[test]
    fn what_is_missing_for_a_command_is_a_note_and_what_is_too_much_a_warning() {
        let told = results(json!([
            {"Depth": "Global", "PrivilegeName": "prvReadContact"},
            {"Depth": "Basic", "PrivilegeName": "prvWriteContact"},
        ]));
        let told: Vec<_> = told.iter().map(|(result, what)| (*result, &**what)).collect();
        assert_eq!(told.iter().map(|(result, _)| *result).collect::<Vec<_>>(), ["ok", "note", "warning"]);
        assert!(
            told[1].1.contains("prvReadAsyncOperation") && told[2].1.ends_with("prvWriteContact"),
            "{told:?}"
        );
    }
}

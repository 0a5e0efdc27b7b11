//! The roles under `deploy/dataverse` are those that the commands ask for.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use super::super::{ROLES, RolePurpose, missing};

/// What each privilege is needed for, one line a privilege.
fn table() -> String {
    let mut purposes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (purpose, privilege) in ROLES {
        purposes.entry(privilege).or_default().push(purpose.as_str());
    }
    let mut text = "| privilege | depth | role |\n| --- | --- | --- |\n".to_owned();
    for (privilege, roles) in purposes {
        writeln!(text, "| `{privilege}` | Organization | {} |", roles.join(", ")).expect("text grows");
    }
    text
}

/// The roles as a solution holds them.
fn xml() -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Roles>\n".to_owned();
    for purpose in RolePurpose::ALL {
        writeln!(
            text,
            "  <Role id=\"{{{}}}\" name=\"{}\">\n    <RolePrivileges>",
            purpose.id(),
            purpose.as_str()
        )
        .expect("text grows");
        for (_, privilege) in ROLES.iter().filter(|(one, _)| *one == purpose) {
            writeln!(text, "      <RolePrivilege name=\"{privilege}\" level=\"Global\" />")
                .expect("text grows");
        }
        text.push_str("    </RolePrivileges>\n  </Role>\n");
    }
    text + "</Roles>\n"
}

fn deployed(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dataverse").join(name)
}

#[test]
fn the_file_of_roles_is_written_from_the_table() {
    let path = deployed("roles.xml");
    if fs::read_to_string(&path).ok() != Some(xml()) {
        fs::write(&path, xml()).expect("it can be written");
        panic!("deploy/dataverse/roles.xml was not up to date; it has been written anew, commit it");
    }
}

#[test]
fn the_guide_has_the_table() {
    let guide = fs::read_to_string(deployed("README.md")).expect("the guide");
    assert!(guide.contains(&table()), "deploy/dataverse/README.md needs this table:\n{}", table());
}

#[test]
fn what_is_missing_is_what_nobody_gave() {
    let held = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<_> = ROLES.iter().map(|(_, name)| *name).collect();
    assert_eq!(missing(&RolePurpose::ALL, &held(&all)), [""; 0]);
    assert_eq!(missing(&[RolePurpose::Service], &held(&["PRVREADCONTACT"])), [""; 0]);
    assert_eq!(missing(&[RolePurpose::Fire], &held(&["prvReadContact"])), ["prvWriteContact"]);
}

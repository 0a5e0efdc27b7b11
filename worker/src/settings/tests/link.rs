//! How the user of a contact is found.

use shared::plan::{IdentityIssuer, LinkRule};

use super::{GOOD, check, parse_text};

fn rules(text: &str) -> (String, Vec<LinkRule>) {
    let settings = parse_text(&format!("{GOOD}[link]\nrules = [{text}]\n"), &[]);
    let planner = settings.unwrap_or_else(|problems| panic!("{problems}")).planner;
    (planner.link_column.into(), planner.rules)
}

#[test]
fn rules_are_read_in_order_and_a_column_alone_is_the_link_column() {
    let usual = "adx_identity_username";
    assert_eq!(rules(""), (usual.to_owned(), Vec::new()));
    assert_eq!(rules("{ object_id = \"new_oid\" }"), ("new_oid".to_owned(), Vec::new()));
    let all = "{ object_id = \"new_oid\" }, { attribute = \"extensionAttribute7\" }, \
               { identity = \"new_sub\", issuer = \"https://idp\" }, \
               { identity = \"new_sub\", issuer_column = \"new_issuer\" }";
    let identity = |issuer| LinkRule::Identity { issuer, id: "new_sub".into() };
    let expected = vec![
        LinkRule::ObjectId("new_oid".into()),
        LinkRule::Attribute("extensionAttribute7".into()),
        identity(IdentityIssuer::Fixed("https://idp".into())),
        identity(IdentityIssuer::Column("new_issuer".into())),
    ];
    assert_eq!(rules(all), (usual.to_owned(), expected));
}

#[test]
fn rules_that_cannot_work_are_told_one_by_one() {
    let long = "x".repeat(121);
    let text = format!(
        "[link]\nrules = [\"adx\", {{ attribute = \"mail\" }}, {{ identity = \"new_sub\" }}, \
         {{ object_id = \"a\", issuer = \"b\" }}, {{ identity = \"a b\", issuer = \"i\" }}, \
         {{ identity = \"a\", issuer = \"{long}\" }}, {{ atribute = \"x\" }}]\n"
    );
    check(
        &text,
        &[],
        &[
            "link.rules, entry 1: must look like { attribute = \"extensionAttribute7\" }",
            "link.rules, entry 2: attribute must be one of extensionAttribute1 to extensionAttribute15, or \
             extension_<app id>_<name>",
            "link.rules, entry 3: identity needs one of issuer and issuer_column",
            "link.rules, entry 4: needs one of object_id, attribute and identity; only identity has an issuer",
            "link.rules, entry 5: a column is given by its logical name",
            "link.rules, entry 6: issuer must be a text of 1 to 120 characters",
            "link.rules, entry 7: atribute is unknown; an entry may have object_id, attribute, identity, issuer, \
             issuer_column",
        ],
    );
    check(
        "[link]\nrules = [{ attribute = \"extensionAttribute7\" }]\n[guard]\nattribute = \"extensionAttribute7\"\n",
        &[],
        &["link.rules: extensionAttribute7 is also guard.attribute; choose another one"],
    );
    check(
        "[link]\nrules = [{ attribute = \"extensionAttribute7\" }]\n[mapping]\npreset = \"custom\"\n\
         rows = [{ column = \"a\", property = \"extensionAttribute7\" }]\n",
        &[],
        &[
            "link.rules: extensionAttribute7 is also written by the mapping, from a, so whoever edits a contact could name \
             its user",
        ],
    );
}

//! Which steps a write fires, and what their contexts say.

use super::organization::*;
use crate::dataverse::{
    pipeline::{
        contexts,
        node::{Members, Node},
    },
    value::{Tables, Value},
    written::{Message, Written},
};

fn fired(tables: &Tables, written: &Written) -> usize {
    contexts(tables, &facts(), written).len()
}

fn changed(column: &str, value: Value) -> Tables {
    let mut tables = registered("sb://local/");
    let steps = tables.get_mut("sdkmessageprocessingstep").expect("steps");
    let step = steps.get_mut(&id("sdkmessageprocessingstep", Message::Update)).expect("the step");
    step.insert(column.to_owned(), value);
    tables
}

#[test]
fn a_step_fires_for_its_own_message_table_and_columns() {
    let update = update("Augusta");
    let cases = [
        ("as registered", changed("rank", Value::Int(2)), 1),
        ("disabled", changed("statecode", Value::Choice(1)), 0),
        ("synchronous", changed("mode", Value::Choice(0)), 0),
        ("before", changed("stage", Value::Choice(20)), 0),
        ("a column of the request", changed("filteringattributes", text("lastname,firstname")), 1),
        ("other columns", changed("filteringattributes", text("lastname,emailaddress1")), 0),
        ("every column", changed("filteringattributes", text("")), 1),
        ("no filter on the table", changed("sdkmessagefilterid", Value::Null), 1),
        (
            "another message",
            changed("sdkmessageid", lookup("sdkmessage", id("sdkmessage", Message::Delete))),
            0,
        ),
    ];
    for (case, tables, expected) in cases {
        assert_eq!(fired(&tables, &update), expected, "{case}");
    }
    let account = Written { table: "account".to_owned(), ..update };
    assert_eq!(fired(&registered(""), &account), 0);
    assert_eq!(fired(&changed("sdkmessagefilterid", Value::Null), &account), 1);
    let endpoint = Written { table: "serviceendpoint".to_owned(), ..account };
    assert_eq!(fired(&changed("sdkmessagefilterid", Value::Null), &endpoint), 0);
}

#[test]
fn the_same_value_fires_too() {
    let same = update("Ada");
    assert_eq!(fired(&changed("filteringattributes", text("firstname")), &same), 1);
}

#[test]
fn whoever_passes_over_custom_logic_passes_over_steps_that_allow_it() {
    let written = Written { bypass: true, ..update("Augusta") };
    assert_eq!(fired(&registered(""), &written), 0);
    assert_eq!(fired(&changed("canbebypassed", Value::Bool(false)), &written), 1);
}

fn member<'a>(context: &'a Members, name: &str) -> &'a Node {
    &context.iter().find(|(known, _)| *known == name).expect("the member is there").1
}

/// Names of attributes, and which are nil.
fn attributes(entity: &Node) -> (Vec<&str>, Vec<&str>) {
    let (Node::Members(members) | Node::Typed("Entity", members)) = entity else {
        panic!("an entity: {entity:?}")
    };
    let Node::Pairs(_, pairs) = member(members, "Attributes") else { panic!("attributes") };
    let names = pairs.iter().map(|(name, _)| name.as_str()).collect();
    let nil = pairs.iter().filter(|(_, value)| *value == Node::Nil).map(|(name, _)| name.as_str()).collect();
    (names, nil)
}

fn only(node: &Node) -> Vec<(&str, &Node)> {
    let Node::Pairs(_, pairs) = node else { panic!("pairs: {node:?}") };
    pairs.iter().map(|(name, value)| (name.as_str(), value)).collect()
}

#[test]
fn an_update_carries_what_was_set_and_an_image_of_what_was_registered() {
    let contexts = contexts(&registered(""), &facts(), &update("Augusta"));
    let [context] = &*contexts else { panic!("one step: {contexts:?}") };
    let [(_, target)] = *only(member(context, "InputParameters")) else { panic!("a target") };
    let expected = ["contactid", "firstname", "fullname", "modifiedby", "modifiedon", "modifiedonbehalfby"];
    assert_eq!(attributes(target), (expected.to_vec(), vec!["modifiedonbehalfby"]));
    let post = only(member(context, "PostEntityImages"));
    let [("PostImage", image), ("AsynchronousStepPrimaryName", name)] = *post else { panic!("{post:?}") };
    // The e-mail address is empty, and so it is not in the image.
    assert_eq!(attributes(image).0, ["adx_identity_username", "firstname", "lastname", "statecode"]);
    assert_eq!(attributes(name).0, ["fullname", "contactid"]);
    assert!(only(member(context, "PreEntityImages")).is_empty());
    assert!(only(member(context, "OutputParameters")).is_empty());
    let Node::Members(around) = member(context, "ParentContext") else { panic!("a parent") };
    let [(_, requested), _] = *only(member(around, "InputParameters")) else { panic!("two parameters") };
    assert_eq!(attributes(requested).0, ["firstname", "contactid"]);
}

#[test]
fn a_creation_tells_the_id_and_a_removal_what_was_there() {
    let update = update("Augusta");
    let create = Written { message: Message::Create, before: None, ..update.clone() };
    let contexts_of = |written: &Written| contexts(&registered(""), &facts(), written).remove(0);
    let created = contexts_of(&create);
    assert_eq!(only(member(&created, "OutputParameters")), [("id", &Node::Guid(CONTACT))]);
    let [(_, target)] = *only(member(&created, "InputParameters")) else { panic!("a target") };
    assert!(attributes(target).0.contains(&"lastname"), "defaults are in the target");

    let delete = Written { message: Message::Delete, target: row([]), after: None, ..update };
    let deleted = contexts_of(&delete);
    let [(_, Node::Typed("EntityReference", _))] = *only(member(&deleted, "InputParameters")) else {
        panic!("a reference: {deleted:?}")
    };
    let pre = only(member(&deleted, "PreEntityImages"));
    assert_eq!(
        pre.iter().map(|(alias, _)| *alias).collect::<Vec<_>>(),
        ["PreImage", "AsynchronousStepPrimaryName"]
    );
    assert!(only(member(&deleted, "PostEntityImages")).is_empty());
}

#[test]
fn the_tag_of_a_request_is_a_shared_variable() {
    let written = Written { tag: Some("contactsync-test".to_owned()), ..update("Augusta") };
    let contexts = contexts(&registered(""), &facts(), &written);
    let shared = only(member(&contexts[0], "SharedVariables"));
    assert!(shared.contains(&("tag", &Node::Text("contactsync-test".to_owned()))), "{shared:?}");
}

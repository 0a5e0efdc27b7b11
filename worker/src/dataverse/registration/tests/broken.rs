//! Every way in which a registration is known to be broken, and what is said about it.

use serde_json::json;

use super::{
    super::{Deviation, compare, deviation::DeviationKind as Kind},
    world::{OTHER, World, desired, images},
};
use crate::dataverse::OrganizationType;

/// What is broken, how, what it is called, and words of its remedy.
pub(super) struct Damage {
    pub(super) name: &'static str,
    pub(super) does: fn(&mut World),
    pub(super) kind: Kind,
    pub(super) remedy: &'static str,
    /// Whether `register` may put it right.
    pub(super) ours: bool,
}

const fn ours(name: &'static str, does: fn(&mut World), kind: Kind, remedy: &'static str) -> Damage {
    Damage { name, does, kind, remedy, ours: true }
}

const fn others(name: &'static str, does: fn(&mut World), kind: Kind, remedy: &'static str) -> Damage {
    Damage { ours: false, ..ours(name, does, kind, remedy) }
}

pub(super) const DAMAGES: &[Damage] = &[
    ours("disabled step", |w| w.step("Update")["statecode"] = json!(1), Kind::StepDisabled, "enables it"),
    ours("synchronous", |w| w.step("Update")["mode"] = json!(0), Kind::StepSynchronous, "asynchronous"),
    ours("wrong stage", |w| w.step("Create")["stage"] = json!(20), Kind::StepStage, "post-operation"),
    ours(
        "no filter",
        |w| w.step("Update")["filteringattributes"] = json!(null),
        Kind::FilterEmpty,
        "sets them",
    ),
    ours(
        "filter lacks a mapped column",
        |w| w.step("Update")["filteringattributes"] = json!("adx_identity_username, emailaddress1,firstname"),
        Kind::FilterLacksColumn,
        "adds it to the filtering attributes",
    ),
    ours(
        "filter lacks the link",
        |w| w.step("Update")["filteringattributes"] = json!("emailaddress1,firstname,lastname"),
        Kind::FilterLacksLink,
        "adds it to the filtering attributes",
    ),
    ours(
        "no post image",
        |w| images(w.step("Update")).retain(|image| image["imagetype"] != 1),
        Kind::ImageMissing,
        "makes the post image",
    ),
    ours(
        "no pre image",
        |w| images(w.step("Update")).retain(|image| image["imagetype"] != 0),
        Kind::ImageMissing,
        "makes the pre image",
    ),
    ours(
        "image lacks the link",
        |w| w.post_image("Update")["attributes"] = json!("emailaddress1,firstname,lastname,versionnumber"),
        Kind::ImageLacksLink,
        "adds it",
    ),
    ours(
        "image lacks a mapped column",
        |w| {
            w.post_image("Update")["attributes"] =
                json!("adx_identity_username,firstname,lastname,versionnumber");
        },
        Kind::ImageLacksColumn,
        "adds it",
    ),
    ours(
        "image without the row version",
        |w| {
            w.post_image("Create")["attributes"] =
                json!("adx_identity_username,emailaddress1,firstname,lastname");
        },
        Kind::ImageWithoutVersion,
        "adds it",
    ),
    ours(
        "image of all columns",
        |w| w.post_image("Update")["attributes"] = json!(null),
        Kind::ImageAllColumns,
        "names the columns",
    ),
    ours(
        "image with a secret",
        |w| {
            let attributes = "adx_identity_passwordhash,adx_identity_username,emailaddress1,firstname,lastname,\
                              versionnumber";
            w.post_image("Update")["attributes"] = json!(attributes);
        },
        Kind::ImageSecret,
        "takes it out",
    ),
    ours(
        "image of Target on Create",
        |w| w.post_image("Create")["messagepropertyname"] = json!("Target"),
        Kind::ImageProperty,
        "sets Id",
    ),
    ours("wrong queue", |w| w.endpoint()["path"] = json!("other"), Kind::WrongQueue, "sets the queue"),
    ours(
        "wrong namespace",
        |w| w.endpoint()["namespaceaddress"] = json!("sb://other.servicebus.windows.net/"),
        Kind::WrongNamespace,
        "sets the address",
    ),
    ours("topic", |w| w.endpoint()["contract"] = json!(5), Kind::WrongContract, "sets the contract"),
    ours("relay", |w| w.endpoint()["contract"] = json!(2), Kind::WrongContract, "sets the contract"),
    ours(
        "namespace by name",
        |w| w.endpoint()["namespaceformat"] = json!(1),
        Kind::WrongAddressForm,
        "sets the form",
    ),
    ours(
        "federated",
        |w| w.endpoint()["connectionmode"] = json!(2),
        Kind::WrongConnectionMode,
        "sets the normal mode",
    ),
    ours(
        "unknown format",
        |w| w.endpoint()["messageformat"] = json!(9),
        Kind::FormatUnsupported,
        "sets JSON",
    ),
    ours(
        "Windows-1252",
        |w| w.endpoint()["messagecharset"] = json!(2),
        Kind::CharsetUnsupported,
        "sets UTF-8",
    ),
    ours("key lost", |w| w.endpoint()["issaskeyset"] = json!(false), Kind::KeyMissing, "sets it"),
    ours("token in place of a key", |w| w.endpoint()["authtype"] = json!(3), Kind::WrongAccess, "sets a key"),
    ours("user claim", |w| w.endpoint()["userclaim"] = json!(3), Kind::UserClaim, "sets none"),
    ours("step twice", |w| drop(w.copy_step("Update")), Kind::StepTwice, "removes it"),
    ours(
        "step without a table",
        |w| w.step("Update")["sdkmessagefilterid"] = json!(null),
        Kind::StepEveryTable,
        "narrows it",
    ),
    ours(
        "no Create step",
        |w| w.steps.retain(|step| step["sdkmessageid"]["name"] != "Create"),
        Kind::StepMissing,
        "makes it",
    ),
    ours(
        "no Update step",
        |w| w.steps.retain(|step| step["sdkmessageid"]["name"] != "Update"),
        Kind::StepMissing,
        "makes it",
    ),
    ours("no endpoint", |w| (w.endpoints.clear(), w.steps.clear()).0, Kind::EndpointMissing, "makes it"),
    ours(
        "jobs are kept",
        |w| w.step("Create")["asyncautodelete"] = json!(false),
        Kind::StepKeepsJobs,
        "lets jobs go",
    ),
    ours(
        "offline only",
        |w| w.step("Update")["supporteddeployment"] = json!(1),
        Kind::StepDeployment,
        "sets the server",
    ),
    ours(
        "other organization's",
        |w| {
            let text = format!("Ours. Registered by contactsync for organization {OTHER}. Keep.");
            w.endpoint()["description"] = json!(text);
        },
        Kind::OtherOrganization,
        "--allow-shared-queue",
    ),
    ours("unmarked", |w| w.endpoint()["description"] = json!(null), Kind::EndpointUnmarked, "description"),
    others(
        "second endpoint on our queue",
        |w| drop(w.copy_endpoint("by hand")),
        Kind::SecondEndpoint,
        "remove it if it is left over",
    ),
    others(
        "step on another table",
        |w| w.copy_step("Update")["sdkmessagefilterid"] = json!({"primaryobjecttypecode": "account"}),
        Kind::StepForeign,
        "remove the step",
    ),
    others(
        "step on another message",
        |w| w.copy_step("Update")["sdkmessageid"] = json!({"name": "Delete"}),
        Kind::StepForeign,
        "remove the step",
    ),
    others(
        "managed step",
        |w| {
            w.step("Update")["ismanaged"] = json!(true);
            w.step("Update")["mode"] = json!(0);
        },
        Kind::Managed,
        "change it in its solution",
    ),
    others(
        "step that is not customizable",
        |w| {
            w.step("Create")["iscustomizable"] = json!({"Value": false});
            w.step("Create")["statecode"] = json!(1);
        },
        Kind::Managed,
        "change it in its solution",
    ),
    others(
        "managed identity",
        |w| w.endpoint()["authtype"] = json!(9),
        Kind::ManagedIdentity,
        "Azure Service Bus Data Sender",
    ),
    others(
        "secured column",
        |w| w.columns.iter_mut().flatten().for_each(|column| column.is_secured = Some(true)),
        Kind::ColumnSecured,
        "take it out of the mapping",
    ),
    others("columns unknown", |w| w.columns = None, Kind::ColumnsUnknown, "prvReadAttribute"),
];

/// Damages with which nothing at all is registered.
const REFUSED: &[Damage] = &[
    others(
        "two endpoints of the name",
        |w| drop(w.copy_endpoint("Contactsync")),
        Kind::EndpointAmbiguous,
        "--endpoint NAME",
    ),
    others(
        "an organization that is not accepted",
        |w| w.organization.organization_id = OTHER,
        Kind::OrganizationRefused,
        "filter.organizations",
    ),
    others(
        "a column that does not exist",
        |w| w.columns.as_mut().expect("known").retain(|column| &*column.logical_name != "lastname"),
        Kind::ColumnMissing,
        "correct the name",
    ),
];

fn told(world: &World) -> Vec<Deviation> {
    compare(&desired(), &world.found())
}

#[test]
fn a_registration_as_it_is_made_has_nothing_to_be_said_about() {
    assert_eq!(told(&World::registered()), []);
}

#[test]
fn each_way_to_be_broken_is_named_with_its_remedy() {
    for damage in DAMAGES.iter().chain(REFUSED) {
        let mut world = World::registered();
        (damage.does)(&mut world);
        let told = told(&world);
        let found = told.iter().find(|one| one.kind == damage.kind && one.remedy.contains(damage.remedy));
        let found = found.unwrap_or_else(|| panic!("{}: {told:#?}", damage.name));
        assert_eq!(found.repair.is_some(), damage.ours, "{}", damage.name);
        // What a damage brings along is about the same thing.
        assert!(told.len() <= 3, "{}: {told:#?}", damage.name);
        assert!(told.is_sorted_by_key(|one| one.severity), "{}", damage.name);
        assert!(told.iter().all(|one| !one.remedy.is_empty()), "{}: {told:#?}", damage.name);
    }
}

#[test]
fn every_kind_of_difference_is_shown_by_a_case() {
    // These are shown elsewhere.
    let others = [Kind::WrongPurpose, Kind::NotProduction, Kind::JobsFailed];
    let shown: Vec<_> = DAMAGES.iter().chain(REFUSED).map(|damage| damage.kind).chain(others).collect();
    let missing: Vec<_> = Kind::ALL.iter().filter(|kind| !shown.contains(kind)).collect();
    assert_eq!(missing, [&Kind::FilterLacksLink; 0], "add a case");
    let names: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(names.len(), Kind::ALL.len(), "each has a name of its own");
}

#[test]
fn an_organization_is_judged_by_what_it_is_for() {
    use crate::settings::Purpose::{Any, Production, Sandbox};
    use OrganizationType::{NotProduction as Trial, Production as Real, Unknown};

    for (purpose, kind, accepted, expected) in [
        (Any, Real, false, None),
        (Any, Trial, false, Some(Kind::NotProduction)),
        (Any, Trial, true, None),
        (Any, Unknown, false, None),
        (Production, Trial, true, Some(Kind::WrongPurpose)),
        (Production, Real, false, None),
        (Production, Unknown, false, None),
        (Sandbox, Trial, false, None),
        (Sandbox, Real, true, Some(Kind::WrongPurpose)),
    ] {
        let mut world = World::registered();
        world.organization.organization_type = kind;
        let mut desired = desired();
        desired.purpose = purpose;
        if !accepted {
            desired.organizations.clear();
        }
        let kinds: Vec<_> = compare(&desired, &world.found()).iter().map(|one| one.kind).collect();
        assert_eq!(kinds, expected.into_iter().collect::<Vec<_>>(), "{purpose:?} {kind:?} {accepted}");
    }
}

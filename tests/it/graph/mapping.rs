//! Every kind of row of the mapping, end to end.

use anyhow::Result;
use emulator::graph::User;
use serde_json::{Value, json};
use tests::message::ContactChange;

use super::{change, run, user, world};

const EVERYTHING: &str = r#"
[mapping]
preset = "custom"
rows = [
    { column = "emailaddress1", property = "mail", convert = ["trim", "lower"], on_null = "keep" },
    { columns = ["mobilephone", "telephone1"], property = "businessPhones" },
    { template = "{firstname} {lastname}", property = "displayName", default = "Portal user" },
    { column = "address1_country", property = "usageLocation", convert = ["country"], on_null = "keep" },
    { column = "donotemail", property = "accountEnabled", on_null = "keep" },
    { column = "preferredcontactmethodcode", property = "department" },
    { column = "jobtitle", property = "jobTitle", on_invalid = "truncate" },
    { column = "employeeid", property = "employeeId", on_invalid = "skip" },
    { column = "new_tier", property = "extension_0123456789abcdef0123456789abcdef_tier", convert = ["upper"] },
    { column = "address1_city", property = "extensionAttribute3", on_null = "default", default = "unknown" },
]
"#;

async fn written(before: User, changes: &[ContactChange]) -> Result<(User, Vec<String>)> {
    let mut options = tests::world::Options::default();
    options.graph.extensions = vec!["extension_0123456789abcdef0123456789abcdef_tier".to_owned()];
    let world = super::world_with(options, 0).await?;
    world.graph.add_user(before)?;
    run(&world, &[EVERYTHING], changes).await?;
    Ok((world.user(user(1))?, world.reasons()?))
}

fn option(value: i64) -> Value {
    json!({"__type": "OptionSetValue:http://schemas.microsoft.com/xrm/2011/Contracts", "Value": value})
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_row_reaches_its_property_in_one_write() -> Result<()> {
    let full = change(1, 1)
        .set("emailaddress1", " Ada@Example.COM ")
        .set("mobilephone", Value::Null)
        .set("telephone1", "+90 555 0100")
        .set("firstname", "Ada")
        .set("lastname", "Lovelace")
        .set("address1_country", "Germany")
        .set("donotemail", false)
        .set("preferredcontactmethodcode", option(2))
        .set("jobtitle", "x".repeat(300))
        .set("employeeid", "far too long for an employee id")
        .set("new_tier", "gold")
        .set("address1_city", Value::Null);
    let (ada, reasons) = written(User::new(user(1)).with("employeeId", "E-7"), &[full]).await?;
    assert_eq!(reasons, [""; 0]);
    for (property, expected) in [
        ("mail", json!("ada@example.com")),
        ("businessPhones", json!(["+90 555 0100"])),
        ("displayName", json!("Ada Lovelace")),
        ("usageLocation", json!("DE")),
        ("accountEnabled", json!(false)),
        ("department", json!("2")),
        ("jobTitle", json!("x".repeat(128))),
        ("employeeId", json!("E-7")),
        ("extension_0123456789abcdef0123456789abcdef_tier", json!("GOLD")),
        ("onPremisesExtensionAttributes", json!({"extensionAttribute3": "unknown"})),
    ] {
        assert_eq!(ada.get(property), expected, "{property}");
    }
    Ok(())
}

const TYPED: &str = r#"
[guard]
attribute = "extensionAttribute15"
[graph]
diff = "read"
[mapping]
preset = "custom"
rows = [
    { column = "customertypecode", property = "jobTitle", choices = { "1" = "Gold", "2" = "Silver" } },
    { column = "statecode", property = "accountEnabled", choices = { "0" = true, "1" = false }, on_null = "keep" },
    { column = "donotemail", property = "extension_0123456789abcdef0123456789abcdef_quiet", type = "boolean" },
    { column = "new_points", property = "extension_0123456789abcdef0123456789abcdef_points", type = "integer" },
    { column = "parentcustomerid", property = "companyName", on_invalid = "skip" },
    { value = "Portal", property = "department" },
]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn choices_lookups_and_typed_extensions_are_written_as_graph_wants_them_and_once() -> Result<()> {
    const QUIET: &str = "extension_0123456789abcdef0123456789abcdef_quiet";
    const POINTS: &str = "extension_0123456789abcdef0123456789abcdef_points";
    let mut options = tests::world::Options::default();
    options.graph.extensions = vec![format!("{QUIET}:Boolean"), format!("{POINTS}:Integer")];
    let world = super::world_with(options, 0).await?;
    world.graph.add_user(User::new(user(1)))?;
    let lookup = json!({"__type": "EntityReference:http://schemas.microsoft.com/xrm/2011/Contracts",
        "Id": user(9), "KeyAttributes": [], "LogicalName": "account", "Name": "Contoso", "RowVersion": null});
    let full = |minute| {
        change(1, minute)
            .set("customertypecode", option(2))
            .set("statecode", option(1))
            .set("donotemail", true)
            .set("new_points", 42)
            .set("parentcustomerid", lookup.clone())
    };
    let log = run(&world, &[TYPED], &[full(1)]).await?;
    assert_eq!(world.reasons()?, [""; 0], "{log}");
    let ada = world.user(user(1))?;
    let written = [
        ("jobTitle", json!("Silver")),
        ("accountEnabled", json!(false)),
        (QUIET, json!(true)),
        (POINTS, json!(42)),
        ("companyName", json!("Contoso")),
        ("department", json!("Portal")),
    ];
    for (property, expected) in &written {
        assert_eq!(ada.get(property), *expected, "{property}");
    }
    // The same values are known again when they are read, and what is not in the table touches nobody.
    let unknown = change(1, 3).set("customertypecode", option(3)).set("new_points", 7);
    let log = run(&world, &[TYPED], &[full(2), unknown]).await?;
    assert_eq!(world.reasons()?, ["ValueInvalid"], "{log}");
    assert_eq!(world.patches().len(), 1, "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn emptied_columns_clear_keep_or_fall_back_as_their_rows_say() -> Result<()> {
    let before = User::new(user(1))
        .with("mail", "ada@example.com")
        .with("businessPhones", json!(["1"]))
        .with("usageLocation", "TR")
        .with("department", "2")
        .with("jobTitle", "Countess");
    let emptied = [
        "emailaddress1",
        "mobilephone",
        "telephone1",
        "firstname",
        "lastname",
        "address1_country",
        "donotemail",
        "preferredcontactmethodcode",
        "jobtitle",
        "new_tier",
    ];
    let emptied = emptied.into_iter().fold(change(1, 1), |change, column| change.set(column, Value::Null));
    let (ada, reasons) = written(before, &[emptied]).await?;
    assert_eq!(reasons, [""; 0]);
    for (property, expected) in [
        ("mail", json!("ada@example.com")),
        ("businessPhones", json!([])),
        ("displayName", json!("Portal user")),
        ("usageLocation", json!("TR")),
        ("accountEnabled", json!(true)),
        ("department", Value::Null),
        ("jobTitle", Value::Null),
    ] {
        assert_eq!(ada.get(property), expected, "{property}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_does_not_carry_comes_from_the_post_image_or_is_missed_by_name() -> Result<()> {
    let with_image = change(1, 1).set("firstname", "Ada").after("lastname", "King");
    let (ada, reasons) = written(User::new(user(1)), &[with_image]).await?;
    assert_eq!((ada.get("displayName"), reasons.len()), (json!("Ada King"), 0));
    let without = change(1, 1).set("firstname", "Ada");
    let (_, reasons) = written(User::new(user(1)), &[without]).await?;
    assert_eq!(reasons, ["ColumnMissing"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit_is_refused_before_the_call() -> Result<()> {
    let world = world(1).await?;
    let changes = [
        change(1, 1).set("firstname", "x".repeat(65)),
        change(1, 2).set("emailaddress1", "no address"),
        change(1, 3).set("lastname", "King"),
    ];
    let log = run(&world, &[], &changes).await?;
    assert_eq!(world.reasons()?, ["ValueInvalid", "ValueInvalid"], "{log}");
    assert_eq!(world.patches().len(), 1);
    assert_eq!(world.user(user(1))?.text("surname"), Some("King"));
    Ok(())
}

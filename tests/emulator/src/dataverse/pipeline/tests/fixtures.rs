//! Contexts that Microsoft's serializers wrote are written again, byte for byte.

use std::{fs, path::PathBuf};

use jiff::{civil::DateTime, tz::TimeZone};
use serde_json::Value as Json;

use crate::dataverse::pipeline::{
    format::Format,
    node::{Members, Node, Pairs},
};

const MEMBERS: [&str; 30] = [
    "BusinessUnitId",
    "CorrelationId",
    "Depth",
    "InitiatingUserAgent",
    "InitiatingUserAzureActiveDirectoryObjectId",
    "InitiatingUserId",
    "InputParameters",
    "IsExecutingOffline",
    "IsInTransaction",
    "IsOfflinePlayback",
    "IsolationMode",
    "MessageName",
    "Mode",
    "OperationCreatedOn",
    "OperationId",
    "OrganizationId",
    "OrganizationName",
    "OutputParameters",
    "OwningExtension",
    "ParentContext",
    "PostEntityImages",
    "PreEntityImages",
    "PrimaryEntityId",
    "PrimaryEntityName",
    "RequestId",
    "SecondaryEntityName",
    "SharedVariables",
    "Stage",
    "UserAzureActiveDirectoryObjectId",
    "UserId",
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/contexts")
}

/// The tree of a fixture; nothing if it holds a type that contacts of the local Dataverse do not have.
fn context(context: &Json) -> Option<Members> {
    MEMBERS
        .into_iter()
        .filter_map(|name| context.get(name).map(|value| Some((name, member(name, value)?))))
        .collect()
}

fn member(name: &str, value: &Json) -> Option<Node> {
    Some(match (name, value) {
        ("OwningExtension", value) => match node(value)? {
            Node::Typed(_, members) => Node::Members(members),
            nil => nil,
        },
        ("OperationCreatedOn", value) => node(value)?,
        ("ParentContext", Json::Object(_)) => Node::Members(context(value)?),
        ("PreEntityImages" | "PostEntityImages", Json::Array(images)) => {
            let image = |(alias, value)| match value {
                Node::Typed(_, members) => (alias, Node::Members(members)),
                nil => (alias, nil),
            };
            Node::Pairs(Pairs::Images, pairs(images)?.into_iter().map(image).collect())
        }
        (_, Json::Array(list)) => Node::Pairs(Pairs::Any, pairs(list)?),
        (_, Json::Null) => Node::Nil,
        (_, Json::Bool(truth)) => Node::Bool(*truth),
        (_, Json::Number(number)) => Node::Int(i32::try_from(number.as_i64()?).ok()?),
        (_, Json::String(text)) if name.ends_with("Id") => Node::Guid(text.parse().ok()?),
        (_, Json::String(text)) => Node::Text(text.clone()),
        (_, Json::Object(_)) => return None,
    })
}

fn pairs(list: &[Json]) -> Option<Vec<(String, Node)>> {
    list.iter().map(|pair| Some((pair[0].as_str()?.to_owned(), node(&pair[1])?))).collect()
}

fn node(value: &Json) -> Option<Node> {
    let text = |name: &str| value[name].as_str();
    Some(match text("t")? {
        "null" => Node::Nil,
        "bool" => Node::Bool(value["v"].as_bool()?),
        "int" => Node::Int(i32::try_from(value["v"].as_i64()?).ok()?),
        "long" => Node::Long(text("v")?.parse().ok()?),
        "double" => Node::Double(f64::from_bits(u64::from_str_radix(text("bits")?, 16).ok()?)),
        "string" => Node::Text(text("v")?.to_owned()),
        "guid" => Node::Guid(text("v")?.parse().ok()?),
        "optionset" => Node::choice(i32::try_from(value["v"].as_i64()?).ok()?),
        "datetime" => {
            let moment = TimeZone::UTC.to_timestamp(text("v")?.parse::<DateTime>().ok()?).ok()?;
            match text("kind")? {
                "utc" => Node::Moment(moment),
                "unspecified" => Node::Reading(moment),
                _ => return None,
            }
        }
        "ref" => Node::Typed(
            "EntityReference",
            vec![
                ("Id", Node::Guid(text("id")?.parse().ok()?)),
                ("KeyAttributes", Node::Pairs(Pairs::Keys, pairs(value["keyAttributes"].as_array()?)?)),
                ("LogicalName", Node::text_or_nil(text("logicalName"))),
                ("Name", Node::text_or_nil(text("name"))),
                ("RowVersion", Node::text_or_nil(text("rowVersion"))),
            ],
        ),
        "entity" => entity(value)?,
        _ => return None,
    })
}

fn entity(value: &Json) -> Option<Node> {
    let text = |name: &str| value[name].as_str();
    let formatted = value["formattedValues"].as_array()?.iter();
    let formatted = formatted
        .map(|pair| Some((pair[0].as_str()?.to_owned(), Node::Text(pair[1].as_str()?.to_owned()))))
        .collect::<Option<_>>()?;
    if value["relatedEntities"].as_array().is_none_or(|related| !related.is_empty())
        || !value["entityState"].is_null()
    {
        return None;
    }
    Some(Node::Typed(
        "Entity",
        vec![
            ("Attributes", Node::Pairs(Pairs::Any, pairs(value["attributes"].as_array()?)?)),
            ("EntityState", Node::Nil),
            ("FormattedValues", Node::Pairs(Pairs::Texts, formatted)),
            ("Id", Node::Guid(text("id")?.parse().ok()?)),
            ("KeyAttributes", Node::Pairs(Pairs::Keys, pairs(value["keyAttributes"].as_array()?)?)),
            ("LogicalName", Node::text_or_nil(text("logicalName"))),
            ("RelatedEntities", Node::Pairs(Pairs::Related, Vec::new())),
            ("RowVersion", Node::text_or_nil(text("rowVersion"))),
        ],
    ))
}

#[test]
fn what_the_serializers_of_microsoft_wrote_is_written_alike() {
    let mut compared = 0;
    let mut wrong = Vec::new();
    let mut entries: Vec<_> =
        fs::read_dir(folder()).expect("the fixtures").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(case) = name.strip_suffix(".expected.json") else { continue };
        let Ok(expected) = serde_json::from_slice::<Json>(&fs::read(&path).expect("a fixture")) else {
            continue;
        };
        // Servers elsewhere write other offsets.
        if expected["sender_time_zone"] != "UTC" {
            continue;
        }
        let Some(context) = context(&expected["context"]) else { continue };
        for (format, extension) in [(Format::Json, "json"), (Format::Text, "xml"), (Format::Binary, "msbin1")]
        {
            let Ok(body) = fs::read(folder().join(format!("{case}.{extension}"))) else { continue };
            compared += 1;
            if format.write(&context) != body {
                wrong.push(format!("{case}.{extension}"));
            }
        }
    }
    // .NET writes the smallest of all numbers with more digits than are needed, and ends an element in one record with
    // a text of more than 85 units where its buffer of 512 bytes happens to have room.
    let expected =
        ["adx-externalidentity-create.msbin1", "contact-update-double.json", "contact-update-double.xml"];
    assert_eq!(wrong, expected, "of {compared}");
    assert!(compared > 100, "only {compared} bodies were compared");
}

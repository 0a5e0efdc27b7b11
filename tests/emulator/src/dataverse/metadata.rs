//! `EntityDefinitions`: tables, their columns and their privileges.

use hyper::StatusCode;
use serde_json::{Map, Value as Json, json};

use super::{
    access::{Verb, privilege, privilege_id},
    call::Segment,
    functions::NAMESPACE,
    json::managed,
    refusal::Refusal,
    reply::Reply,
    schema::{self, Column, Kind, Setting, Table},
    state::{Asked, State},
};

impl State {
    /// Answers below `EntityDefinitions`.
    pub(crate) fn definitions(&self, asked: &Asked<'_>, path: &[Segment]) -> Result<Reply, Refusal> {
        asked.access.may_metadata()?;
        let root = asked.call.root();
        match path {
            [set] if set.arguments.is_none() => {
                let tables = schema::tables().iter().map(|table| self.definition(table));
                let found = filtered(tables, asked.options.get("$filter"))?;
                let found =
                    found.into_iter().map(|one| selected(one, asked)).collect::<Result<Vec<_>, _>>()?;
                Ok(collection(&root, "EntityDefinitions", found))
            }
            [set] => {
                let body = selected(self.definition(table_of(set)?), asked)?;
                Ok(single(&root, "EntityDefinitions", body))
            }
            [set, attributes, rest @ ..] if attributes.name == "Attributes" => {
                self.attributes(asked, table_of(set)?, attributes, rest)
            }
            [_, other, ..] => Err(Refusal::unknown_segment(&other.name)),
            [] => Err(Refusal::unknown_segment("EntityDefinitions")),
        }
    }

    fn attributes(
        &self,
        asked: &Asked<'_>,
        table: &'static Table,
        attributes: &Segment,
        rest: &[Segment],
    ) -> Result<Reply, Refusal> {
        let cast = match rest {
            [] => None,
            [cast] => {
                Some(cast.name.strip_prefix(NAMESPACE).ok_or_else(|| Refusal::unknown_segment(&cast.name))?)
            }
            [_, other, ..] => return Err(Refusal::unknown_segment(&other.name)),
        };
        let root = asked.call.root();
        let context = format!("EntityDefinitions('{}')/Attributes", table.name);
        let shown = |column: &'static Column| self.attribute(table, column, cast);
        if attributes.arguments.is_some() {
            let column =
                attributes.argument("LogicalName").and_then(|name| table.column(name)).or_else(|| {
                    let id = attributes.id()?;
                    table.columns.iter().find(|column| table.metadata_id(column.name) == id)
                });
            let column = column.filter(|column| cast.is_none_or(|cast| type_of(column).0 == cast));
            let column = column.ok_or_else(|| {
                let name = attributes.argument("LogicalName").unwrap_or_default();
                let message = format!("Could not find attribute '{name}' of the entity '{}'.", table.name);
                Refusal::new(404, 0x8004_0217, message)
            })?;
            return Ok(single(&root, &context, selected(shown(column), asked)?));
        }
        let columns = table.columns.iter().filter(|column| cast.is_none_or(|cast| type_of(column).0 == cast));
        let found = filtered(columns.map(shown), asked.options.get("$filter"))?;
        let found = found.into_iter().map(|one| selected(one, asked)).collect::<Result<Vec<_>, _>>()?;
        Ok(collection(&root, &context, found))
    }

    fn definition(&self, table: &Table) -> Map<String, Json> {
        let privileges: Vec<Json> = Verb::ALL
            .into_iter()
            .map(|verb| {
                let name = privilege(verb, table);
                json!({
                    "CanBeBasic": table.owned, "CanBeLocal": table.owned, "CanBeDeep": table.owned,
                    "CanBeGlobal": true, "CanBeEntityReference": false, "CanBeParentEntityReference": false,
                    "Name": name, "PrivilegeId": privilege_id(&name), "PrivilegeType": format!("{verb:?}"),
                })
            })
            .collect();
        let tracking = managed("canchangetrackingbeenabled", table.trackable);
        object(json!({
            "LogicalName": table.name,
            "SchemaName": table.schema_name,
            "EntitySetName": table.set,
            "LogicalCollectionName": table.set,
            "PrimaryIdAttribute": table.key,
            "PrimaryNameAttribute": table.primary_name,
            "ObjectTypeCode": table.code,
            "MetadataId": table.metadata_id(""),
            "OwnershipType": if table.owned { "UserOwned" } else { "OrganizationOwned" },
            "IsCustomEntity": table.name.contains('_'),
            "IsPrivate": false,
            "ChangeTrackingEnabled": self.is_tracked(table),
            "CanChangeTrackingBeEnabled": tracking,
            "IsOptimisticConcurrencyEnabled": true,
            "Privileges": privileges,
        }))
    }

    fn attribute(&self, table: &Table, column: &Column, cast: Option<&str>) -> Map<String, Json> {
        let (metadata, kind) = type_of(column);
        let secured = self.rights.secured.contains(&(table.name.to_owned(), column.name.to_owned()));
        let mut body = object(json!({
            "@odata.type": format!("#{NAMESPACE}{metadata}"),
            "LogicalName": column.name,
            "SchemaName": column.name,
            "EntityLogicalName": table.name,
            "AttributeType": kind,
            "AttributeTypeName": { "Value": format!("{kind}Type") },
            "IsSecured": secured,
            "CanBeSecuredForRead": !matches!(column.setting, Setting::Ignored),
            "IsPrimaryId": column.kind == Kind::Key,
            "IsPrimaryName": column.name == table.primary_name,
            "IsValidForRead": !column.write_only,
            "IsValidForCreate": matches!(column.setting, Setting::Anybody | Setting::AtCreation),
            "IsValidForUpdate": column.setting == Setting::Anybody,
            "MetadataId": table.metadata_id(column.name),
        }));
        // Only a cast brings out what belongs to one type alone.
        if cast.is_some() {
            match column.kind {
                Kind::Text(most) | Kind::Memo(most) => {
                    body.insert("MaxLength".to_owned(), json!(most));
                }
                Kind::Choice(options) | Kind::State(options) | Kind::Status(options) => {
                    body.insert("OptionSet".to_owned(), option_set(options));
                }
                Kind::Lookup(navigations) => {
                    let targets: Vec<&str> = navigations.iter().map(|(_, table)| *table).collect();
                    body.insert("Targets".to_owned(), json!(targets));
                }
                _ => {}
            }
        }
        body
    }
}

fn option_set(options: &[(i32, &str)]) -> Json {
    let option = |(value, label): &(i32, &str)| {
        let label = json!({ "Label": label, "LanguageCode": 1033 });
        json!({ "Value": value, "Label": { "LocalizedLabels": [label], "UserLocalizedLabel": label } })
    };
    json!({ "Options": options.iter().map(option).collect::<Vec<_>>() })
}

/// The type of the metadata, and `AttributeType`.
fn type_of(column: &Column) -> (&'static str, &'static str) {
    match column.kind {
        Kind::Key | Kind::Guid => ("UniqueIdentifierAttributeMetadata", "Uniqueidentifier"),
        Kind::Text(_) => ("StringAttributeMetadata", "String"),
        Kind::Memo(_) => ("MemoAttributeMetadata", "Memo"),
        Kind::Bool => ("BooleanAttributeMetadata", "Boolean"),
        Kind::Int => ("IntegerAttributeMetadata", "Integer"),
        Kind::Long => ("BigIntAttributeMetadata", "BigInt"),
        Kind::Moment => ("DateTimeAttributeMetadata", "DateTime"),
        Kind::Choice(_) => ("PicklistAttributeMetadata", "Picklist"),
        Kind::State(_) => ("StateAttributeMetadata", "State"),
        Kind::Status(_) => ("StatusAttributeMetadata", "Status"),
        Kind::Lookup(_) if column.name == "ownerid" => ("LookupAttributeMetadata", "Owner"),
        Kind::Lookup(_) => ("LookupAttributeMetadata", "Lookup"),
        Kind::TableName => ("EntityNameAttributeMetadata", "EntityName"),
        Kind::Managed => ("ManagedPropertyAttributeMetadata", "ManagedProperty"),
    }
}

fn object(json: Json) -> Map<String, Json> {
    match json {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// The table in the brackets: by its logical name, or by its id.
fn table_of(set: &Segment) -> Result<&'static Table, Refusal> {
    if let Some(id) = set.id() {
        let found = schema::tables().iter().find(|table| table.metadata_id("") == id);
        let message = format!("Could not find an entity with the specified id: {id}.");
        return found.ok_or_else(|| Refusal::new(404, 0x8004_0217, message));
    }
    let name = set.argument("LogicalName").unwrap_or_default();
    let message = format!("Could not find an entity with the specified name: {name}.");
    schema::table(name).ok_or_else(|| Refusal::new(404, 0x8004_0217, message))
}

/// Those whose properties equal what `$filter` names, joined by `and`; nothing else is answered here.
fn filtered(
    all: impl Iterator<Item = Map<String, Json>>,
    filter: Option<&str>,
) -> Result<Vec<Map<String, Json>>, Refusal> {
    let Some(filter) = filter else { return Ok(all.collect()) };
    let mut wanted = Vec::new();
    for condition in filter.split(" and ") {
        let (name, value) = condition
            .split_once(" eq ")
            .ok_or_else(|| Refusal::query(format!("The filter '{filter}' is not supported on metadata.")))?;
        let value = value.trim();
        let value = match value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            Some(text) => json!(text.replace("''", "'")),
            // Members of an enumeration come with their type.
            None if value.ends_with('\'') => json!(value.trim_end_matches('\'').rsplit('\'').next()),
            None => serde_json::from_str(value).unwrap_or(Json::Null),
        };
        wanted.push((name.trim().to_owned(), value));
    }
    Ok(all.filter(|one| wanted.iter().all(|(name, value)| one.get(name) == Some(value))).collect())
}

/// The properties that `$select` names, besides those that always come.
fn selected(mut body: Map<String, Json>, asked: &Asked<'_>) -> Result<Map<String, Json>, Refusal> {
    let Some(select) = asked.options.get("$select") else { return Ok(body) };
    let expand = asked.options.get("$expand").unwrap_or_default();
    let names: Vec<&str> = select.split(',').map(str::trim).collect();
    if let Some(name) = names.iter().find(|name| !body.contains_key(**name)) {
        return Err(Refusal::query(format!("Could not find a property named '{name}' on the metadata.")));
    }
    let always = |name: &str| name == "MetadataId" || name.starts_with('@') || expand.starts_with(name);
    body.retain(|name, _| names.contains(&name.as_str()) || always(name));
    Ok(body)
}

fn collection(root: &str, context: &str, found: Vec<Map<String, Json>>) -> Reply {
    let body = json!({ "@odata.context": format!("{root}/$metadata#{context}"), "value": found });
    Reply::json(StatusCode::OK, body)
}

fn single(root: &str, context: &str, mut body: Map<String, Json>) -> Reply {
    body.insert("@odata.context".to_owned(), json!(format!("{root}/$metadata#{context}/$entity")));
    Reply::json(StatusCode::OK, body.into())
}

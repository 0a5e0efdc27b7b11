//! The data contract, read once for all formats from whatever can serve as its [`Source`].

use std::borrow::Cow;

use uuid::Uuid;

use super::{
    context::{Context, Images, with_members},
    datetime::DateTime,
    error::{DecodeProblem, Error, PathStep},
    limits,
    namespace::Namespace,
    value::{
        Aliased, ContextValue, ContractMember, Entities, Entity, ManagedBool, Named, Parameters, Reference,
        Relationship, TextPair,
    },
};

/// A cursor in front of a value. Each method takes the whole value it stands in front of.
pub(super) trait Source<'a>: Sized {
    /// Takes the value if it is null, and says whether it did.
    fn nil(&mut self) -> Result<bool, Error>;
    /// Takes whatever comes, unread.
    fn skip(&mut self) -> Result<(), Error>;
    fn text(&mut self) -> Result<Cow<'a, str>, Error>;
    fn boolean(&mut self) -> Result<bool, Error>;
    fn int(&mut self) -> Result<i32, Error>;
    /// A decimal number, as canonical text.
    fn decimal(&mut self) -> Result<Cow<'a, str>, Error>;
    fn guid(&mut self) -> Result<Uuid, Error>;
    fn date(&mut self) -> Result<DateTime, Error>;
    /// A name of an enumeration.
    fn named(&mut self) -> Result<Named<'a>, Error>;
    /// A value that brings its own type.
    fn any(&mut self) -> Result<ContextValue<'a>, Error>;
    /// A structure whose members are in a namespace. The visitor takes each member's value; a member of another
    /// namespace comes to it with an empty name.
    fn members(
        &mut self,
        namespace: Namespace,
        visit: impl FnMut(&mut Self, &str) -> Result<(), Error>,
    ) -> Result<(), Error>;
    /// A list. The visitor takes each item.
    fn items(&mut self, visit: impl FnMut(&mut Self) -> Result<(), Error>) -> Result<(), Error>;
    /// How many bytes the values take that were read so far, to be added to.
    fn weight(&mut self) -> &mut usize;
    /// A problem with what was taken last.
    fn fail(&self, problem: DecodeProblem) -> Error;
}

use Namespace::{Generic, Xrm};

/// Reads a member that may be null, once.
fn fill<'a, S: Source<'a>, T>(
    member: &mut ContractMember<T>,
    source: &mut S,
    name: &'static str,
    read: impl FnOnce(&mut S) -> Result<T, Error>,
) -> Result<(), Error> {
    if member.is_present() {
        return Err(source.fail(DecodeProblem::Duplicate).inside(PathStep::Member(name)));
    }
    let value = nullable(source, read).map_err(|error| error.inside(PathStep::Member(name)))?;
    *member = value.map_or(ContractMember::Nil, ContractMember::Value);
    Ok(())
}

/// Reads a value that may be null.
fn nullable<'a, S: Source<'a>, T>(
    source: &mut S,
    read: impl FnOnce(&mut S) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    if source.nil()? { Ok(None) } else { read(source).map(Some) }
}

/// Reads all items of a list.
pub(super) fn list<'a, S: Source<'a>, T>(
    source: &mut S,
    mut read: impl FnMut(&mut S) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let mut items = Vec::new();
    source.items(|source| {
        let inside = |error: Error| error.inside(PathStep::Item(items.len()));
        weigh::<S, T>(source).map_err(inside)?;
        let item = read(source).map_err(inside)?;
        items.push(item);
        Ok(())
    })?;
    Ok(items)
}

/// Makes sure that one more of these may be kept.
fn weigh<'a, S: Source<'a>, T>(source: &mut S) -> Result<(), Error> {
    let weight = source.weight();
    *weight += size_of::<T>();
    if *weight <= limits::MEMORY {
        return Ok(());
    }
    Err(source.fail(DecodeProblem::Limit { what: "bytes of memory for the values", limit: limits::MEMORY }))
}

/// Keeps a value in a box of its own.
pub(super) fn keep<'a, S: Source<'a>, T>(source: &mut S, value: T) -> Result<Box<T>, Error> {
    weigh::<S, T>(source)?;
    Ok(Box::new(value))
}

/// Reads all records of a list.
fn records<'a, S: Source<'a>>(source: &mut S) -> Result<Vec<Entity<'a>>, Error> {
    let mut left = limits::RECORDS;
    list(source, |source| {
        let more = left.checked_sub(1);
        let limit = DecodeProblem::Limit { what: "records in one list", limit: limits::RECORDS };
        left = more.ok_or_else(|| source.fail(limit))?;
        entity(source)
    })
}

/// Reads a pair, whose members are called `key` and `value` in any order.
fn pair<'a, S: Source<'a>, K, V>(
    source: &mut S,
    read_key: impl Fn(&mut S) -> Result<K, Error>,
    read_value: impl Fn(&mut S) -> Result<V, Error>,
) -> Result<(K, Option<V>), Error> {
    let mut key = ContractMember::Absent;
    let mut value = ContractMember::Absent;
    source.members(Generic, |source, name| match name {
        "key" => fill(&mut key, source, "key", &read_key),
        "value" => fill(&mut value, source, "value", &read_value),
        _ => source.skip(),
    })?;
    let ContractMember::Value(key) = key else {
        return Err(source.fail(DecodeProblem::Missing("key of a pair")));
    };
    match value {
        ContractMember::Absent => Err(source.fail(DecodeProblem::Missing("value of a pair"))),
        ContractMember::Nil => Ok((key, None)),
        ContractMember::Value(value) => Ok((key, Some(value))),
    }
}

/// A key with a value of any type.
pub(super) fn parameter<'a, S: Source<'a>>(
    source: &mut S,
) -> Result<(Cow<'a, str>, ContextValue<'a>), Error> {
    let (key, value) = pair(source, S::text, S::any)?;
    Ok((key, value.unwrap_or(ContextValue::Null)))
}

/// A key with a text.
pub(super) fn text_pair<'a, S: Source<'a>>(source: &mut S) -> Result<TextPair<'a>, Error> {
    pair(source, S::text, S::text)
}

fn parameters<'a, S: Source<'a>>(source: &mut S) -> Result<Parameters<'a>, Error> {
    list(source, parameter)
}

fn images<'a, S: Source<'a>>(source: &mut S) -> Result<Images<'a>, Error> {
    list(source, |source| pair(source, S::text, entity))
}

/// How much of a context to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    All,
    /// Not what no change is taken from: for asynchronous events, parents are half of the message. They are still
    /// stepped over with every limit in force.
    Change,
}

/// A context. Boxed here, so that the frames of the recursion stay small.
pub(super) fn context<'a, S: Source<'a>>(source: &mut S, extent: Extent) -> Result<Box<Context<'a>>, Error> {
    let mut context = Box::<Context<'_>>::default();
    source.members(Xrm, |source, name| match name {
        "OwningExtension" | "ParentContext" | "SharedVariables" if extent == Extent::Change => source.skip(),
        _ => member(&mut context, source, name),
    })?;
    Ok(context)
}

fn boxed_context<'a, S: Source<'a>>(source: &mut S) -> Result<Box<Context<'a>>, Error> {
    context(source, Extent::All)
}

macro_rules! read_member {
    ($($(#[$doc:meta])* $field:ident $name:literal $read:ident: $type:ty,)*) => {
        fn member<'a, S: Source<'a>>(context: &mut Context<'a>, source: &mut S, name: &str) -> Result<(), Error> {
            match name {
                $($name => fill(&mut context.$field, source, $name, $read),)*
                _ => source.skip(),
            }
        }
    };
}
with_members!(read_member);

// The table of members names readers as plain functions.
fn text<'a, S: Source<'a>>(source: &mut S) -> Result<Cow<'a, str>, Error> {
    source.text()
}

fn guid<'a, S: Source<'a>>(source: &mut S) -> Result<Uuid, Error> {
    source.guid()
}

fn int<'a, S: Source<'a>>(source: &mut S) -> Result<i32, Error> {
    source.int()
}

fn boolean<'a, S: Source<'a>>(source: &mut S) -> Result<bool, Error> {
    source.boolean()
}

fn date<'a, S: Source<'a>>(source: &mut S) -> Result<DateTime, Error> {
    source.date()
}

pub(super) fn entity<'a, S: Source<'a>>(source: &mut S) -> Result<Entity<'a>, Error> {
    let mut it = Entity::default();
    source.members(Xrm, |source, name| match name {
        "Attributes" => fill(&mut it.attributes, source, "Attributes", parameters),
        "EntityState" => fill(&mut it.entity_state, source, "EntityState", S::named),
        "FormattedValues" => {
            fill(&mut it.formatted_values, source, "FormattedValues", |source| list(source, text_pair))
        }
        "Id" => fill(&mut it.id, source, "Id", S::guid),
        "KeyAttributes" => fill(&mut it.key_attributes, source, "KeyAttributes", parameters),
        "LogicalName" => fill(&mut it.logical_name, source, "LogicalName", S::text),
        "RelatedEntities" => fill(&mut it.related_entities, source, "RelatedEntities", related),
        "RowVersion" => fill(&mut it.row_version, source, "RowVersion", S::text),
        _ => source.skip(),
    })?;
    Ok(it)
}

fn related<'a, S: Source<'a>>(source: &mut S) -> Result<Vec<(Relationship<'a>, Entities<'a>)>, Error> {
    list(source, |source| {
        let (relationship, entities) = pair(source, relationship, entities)?;
        Ok((relationship, entities.unwrap_or_default()))
    })
}

pub(super) fn reference<'a, S: Source<'a>>(source: &mut S) -> Result<Reference<'a>, Error> {
    let mut it = Reference::default();
    source.members(Xrm, |source, name| match name {
        "Id" => fill(&mut it.id, source, "Id", S::guid),
        "KeyAttributes" => fill(&mut it.key_attributes, source, "KeyAttributes", parameters),
        "LogicalName" => fill(&mut it.logical_name, source, "LogicalName", S::text),
        "Name" => fill(&mut it.name, source, "Name", S::text),
        "RowVersion" => fill(&mut it.row_version, source, "RowVersion", S::text),
        _ => source.skip(),
    })?;
    Ok(it)
}

pub(super) fn entities<'a, S: Source<'a>>(source: &mut S) -> Result<Entities<'a>, Error> {
    let mut it = Entities::default();
    source.members(Xrm, |source, name| match name {
        "Entities" => fill(&mut it.entities, source, "Entities", records),
        "EntityName" => fill(&mut it.entity_name, source, "EntityName", S::text),
        "MinActiveRowVersion" => fill(&mut it.min_active_row_version, source, "MinActiveRowVersion", S::text),
        "MoreRecords" => fill(&mut it.more_records, source, "MoreRecords", S::boolean),
        "PagingCookie" => fill(&mut it.paging_cookie, source, "PagingCookie", S::text),
        "TotalRecordCount" => fill(&mut it.total_record_count, source, "TotalRecordCount", S::int),
        "TotalRecordCountLimitExceeded" => fill(
            &mut it.total_record_count_limit_exceeded,
            source,
            "TotalRecordCountLimitExceeded",
            S::boolean,
        ),
        _ => source.skip(),
    })?;
    Ok(it)
}

fn relationship<'a, S: Source<'a>>(source: &mut S) -> Result<Relationship<'a>, Error> {
    let mut it = Relationship::default();
    source.members(Xrm, |source, name| match name {
        "PrimaryEntityRole" => fill(&mut it.primary_entity_role, source, "PrimaryEntityRole", S::named),
        "SchemaName" => fill(&mut it.schema_name, source, "SchemaName", S::text),
        _ => source.skip(),
    })?;
    Ok(it)
}

fn aliased<'a, S: Source<'a>>(source: &mut S) -> Result<Aliased<'a>, Error> {
    let mut it = Aliased::default();
    source.members(Xrm, |source, name| match name {
        "AttributeLogicalName" => {
            fill(&mut it.attribute_logical_name, source, "AttributeLogicalName", S::text)
        }
        "EntityLogicalName" => fill(&mut it.entity_logical_name, source, "EntityLogicalName", S::text),
        "NeedFormatting" => fill(&mut it.need_formatting, source, "NeedFormatting", S::boolean),
        "ReturnType" => fill(&mut it.return_type, source, "ReturnType", S::int),
        "Value" => fill(&mut it.value, source, "Value", S::any),
        _ => source.skip(),
    })?;
    Ok(it)
}

fn managed_bool<'a, S: Source<'a>>(source: &mut S) -> Result<ManagedBool<'a>, Error> {
    let mut it = ManagedBool::default();
    source.members(Xrm, |source, name| match name {
        "CanBeChanged" => fill(&mut it.can_be_changed, source, "CanBeChanged", S::boolean),
        "ManagedPropertyLogicalName" => {
            fill(&mut it.logical_name, source, "ManagedPropertyLogicalName", S::text)
        }
        "Value" => fill(&mut it.value, source, "Value", S::boolean),
        _ => source.skip(),
    })?;
    Ok(it)
}

/// The one member of a structure around a single value.
fn value_member<'a, S: Source<'a>, T>(
    source: &mut S,
    what: &'static str,
    read: impl Fn(&mut S) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut value = ContractMember::Absent;
    source.members(Xrm, |source, name| match name {
        "Value" => fill(&mut value, source, "Value", &read),
        _ => source.skip(),
    })?;
    let ContractMember::Value(value) = value else { return Err(source.fail(DecodeProblem::Missing(what))) };
    Ok(value)
}

/// The number of a choice.
pub(super) fn option_set<'a, S: Source<'a>>(source: &mut S) -> Result<i32, Error> {
    value_member(source, "number of a choice", S::int)
}

/// Reads something large straight into a box. The frames between two levels of nesting must stay small.
fn boxed<'a, S: Source<'a>, T>(
    source: &mut S,
    read: impl FnOnce(&mut S) -> Result<T, Error>,
) -> Result<Box<T>, Error> {
    weigh::<S, T>(source)?;
    read(source).map(Box::new)
}

/// A value of one of the structures that the contract defines, by the local name of its type; `None` with nothing
/// taken for any other name.
pub(super) fn structure<'a, S: Source<'a>>(
    source: &mut S,
    name: &str,
) -> Result<Option<ContextValue<'a>>, Error> {
    Ok(Some(match name {
        "Entity" => ContextValue::Entity(boxed(source, entity)?),
        "EntityReference" => ContextValue::Reference(boxed(source, reference)?),
        "OptionSetValue" => ContextValue::OptionSet(option_set(source)?),
        "Money" => ContextValue::Money(value_member(source, "amount of money", S::decimal)?),
        "EntityCollection" => ContextValue::Entities(boxed(source, entities)?),
        "EntityReferenceCollection" => ContextValue::References(list(source, reference)?),
        "AliasedValue" => ContextValue::Aliased(boxed(source, aliased)?),
        "BooleanManagedProperty" => ContextValue::ManagedBool(boxed(source, managed_bool)?),
        "Relationship" => ContextValue::Relationship(boxed(source, relationship)?),
        _ => return Ok(None),
    }))
}

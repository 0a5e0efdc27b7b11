//! A context as JSON for people and tests: every value with its type beside it, in the order of the message.
//!
//! The shape is that of the fixtures' `context` member. It streams, so printing needs no second copy.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq, SerializeTuple},
};
use uuid::Uuid;

use super::{
    context::{Context, with_members},
    datetime::{Clock, DateTime, DateTimeKind},
    number,
    value::{
        Aliased, ContextValue, ContractMember, Entities, Entity, ManagedBool, Named, Reference, Relationship,
        TypeName,
    },
};

/// How much of a context to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// All that is known.
    Full,
    /// Only what a JSON message would have told, for comparing the formats with each other. Dates are shown as a
    /// server in UTC writes them. Enumerations keep their names, because nothing here knows their numbers.
    Json,
}

impl<'a> Context<'a> {
    /// Something that serializes as the shape above.
    #[must_use]
    pub fn shown(&self, view: View) -> impl Serialize + use<'_, 'a> {
        Shown { it: self, view }
    }
}

/// A part of a context with the way to show it.
struct Shown<'v, T: ?Sized> {
    it: &'v T,
    view: View,
}

/// Parts of a context that can be shown.
trait Show {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error>;
}

impl<T: Show + ?Sized> Serialize for Shown<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.it.show(self.view, serializer)
    }
}

/// An object under construction.
struct Object<M> {
    map: M,
    view: View,
}

impl<M: SerializeMap> Object<M> {
    fn new<S: Serializer<SerializeMap = M>>(serializer: S, view: View) -> Result<Self, S::Error>
    where
        M: SerializeMap<Ok = S::Ok, Error = S::Error>,
    {
        Ok(Self { map: serializer.serialize_map(None)?, view })
    }

    fn tagged<S: Serializer<SerializeMap = M>>(tag: &str, serializer: S, view: View) -> Result<Self, S::Error>
    where
        M: SerializeMap<Ok = S::Ok, Error = S::Error>,
    {
        Self::new(serializer, view)?.with("t", tag)
    }

    fn with<T: Show + ?Sized>(mut self, name: &str, it: &T) -> Result<Self, M::Error> {
        self.map.serialize_entry(name, &Shown { it, view: self.view })?;
        Ok(self)
    }

    /// A list, empty if it is null or was not sent.
    fn list<T: Show>(self, name: &str, it: &ContractMember<Vec<T>>) -> Result<Self, M::Error> {
        self.with(name, it.items())
    }

    /// A list that older platforms do not send.
    fn list_if_sent<T: Show>(self, name: &str, it: &ContractMember<Vec<T>>) -> Result<Self, M::Error> {
        if it.is_present() { self.list(name, it) } else { Ok(self) }
    }

    fn end(self) -> Result<M::Ok, M::Error> {
        self.map.end()
    }
}

macro_rules! show_context {
    ($($(#[$doc:meta])* $field:ident $name:literal $read:ident: $type:ty,)*) => {
        impl Show for Context<'_> {
            fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
                let mut object = Object::new(serializer, view)?;
                $(
                    if self.$field.is_present() {
                        // The one member whose null is shown like the null of a value.
                        object = if $name == "OwningExtension" && self.$field.get().is_none() {
                            object.with($name, &ContextValue::Null)?
                        } else {
                            object.with($name, &self.$field)?
                        };
                    }
                )*
                object.end()
            }
        }
    };
}
with_members!(show_context);

impl Show for ContextValue<'_> {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        if view == View::Json
            && let Some(reduced) = self.without_types()
        {
            return reduced.show(view, serializer);
        }
        match self {
            Self::Null => Object::tagged("null", serializer, view)?.end(),
            Self::Text(it) => tagged("string", it, serializer, view),
            Self::IllFormedText => {
                Object::tagged("other", serializer, view)?.with("type", "ill-formed text")?.end()
            }
            Self::Bool(it) => tagged("bool", it, serializer, view),
            Self::Int(it) => tagged("int", it, serializer, view),
            Self::Long(it) => tagged("long", &*it.to_string(), serializer, view),
            Self::Decimal(it) => tagged("decimal", it, serializer, view),
            Self::Double(it) => Object::tagged("double", serializer, view)?
                .with("v", &*number::double(*it))?
                .with("bits", &*format!("{:016x}", it.to_bits()))?
                .end(),
            Self::Number(it) => tagged("number", it, serializer, view),
            Self::Guid(it) => tagged("guid", it, serializer, view),
            Self::DateTime(it) => it.show(view, serializer),
            Self::Bytes(it) => tagged("bytes", &*BASE64.encode(it), serializer, view),
            Self::OptionSet(it) => tagged("optionset", it, serializer, view),
            Self::OptionSets(it) => {
                let choices: Vec<_> = it.iter().copied().map(Self::OptionSet).collect();
                tagged("optionsets", &choices, serializer, view)
            }
            Self::Money(it) => tagged("money", it, serializer, view),
            Self::Reference(it) => it.show(view, serializer),
            Self::References(it) => tagged("refs", it, serializer, view),
            Self::Entity(it) => it.show(view, serializer),
            Self::Entities(it) => it.show(view, serializer),
            Self::Aliased(it) => it.show(view, serializer),
            Self::ManagedBool(it) => it.show(view, serializer),
            Self::Relationship(it) => it.show(view, serializer),
            Self::Enum(it) => {
                Object::tagged("enum", serializer, view)?.with("type", &it.0)?.with("v", &it.1)?.end()
            }
            Self::StringMap(it) => tagged("stringmap", it, serializer, view),
            Self::Array(it) => tagged("array", it, serializer, view),
            Self::List(it) => tagged("list", it, serializer, view),
            Self::TextPair(it) => {
                Object::tagged("pair", serializer, view)?.with("k", &it.0)?.with("v", &it.1)?.end()
            }
            Self::Pair(it) => {
                Object::tagged("pair", serializer, view)?.with("k", &it.0)?.with("v", &it.1)?.end()
            }
            Self::Other(it) => Object::tagged("other", serializer, view)?.with("type", &**it)?.end(),
        }
    }
}

/// A value that is described by one member.
fn tagged<T: Show + ?Sized, S: Serializer>(
    tag: &str,
    it: &T,
    serializer: S,
    view: View,
) -> Result<S::Ok, S::Error> {
    Object::tagged(tag, serializer, view)?.with("v", it)?.end()
}

impl ContextValue<'_> {
    /// The value as JSON would have told it, if that is less.
    fn without_types(&self) -> Option<ContextValue<'_>> {
        let number = |literal: String| ContextValue::Number(literal.into());
        let list = |items: Vec<ContextValue<'static>>| ContextValue::List(items);
        Some(match self {
            Self::Int(it) => number(it.to_string()),
            Self::Long(it) => number(it.to_string()),
            Self::Double(it) => number(number::double(*it)),
            Self::Decimal(it) => ContextValue::Number(Cow::Borrowed(it)),
            Self::Guid(it) => ContextValue::Text(it.to_string().into()),
            Self::DateTime(it @ DateTime::Clock { .. }) => ContextValue::DateTime(it.in_json()),
            Self::Bytes(it) => list(it.iter().map(|byte| number(byte.to_string())).collect()),
            Self::OptionSets(it) => list(it.iter().copied().map(ContextValue::OptionSet).collect()),
            Self::References(it) => ContextValue::List(
                it.iter().cloned().map(|it| ContextValue::Reference(Box::new(it))).collect(),
            ),
            Self::StringMap(it) => ContextValue::List(
                it.iter().cloned().map(|it| ContextValue::TextPair(Box::new(it))).collect(),
            ),
            Self::Array(it) => ContextValue::List(it.clone()),
            _ => return None,
        })
    }
}

impl Show for DateTime {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        let object = Object::tagged("datetime", serializer, view)?;
        match if view == View::Json { self.in_json() } else { *self } {
            Self::Clock { kind, ticks } => {
                let kind = match kind {
                    DateTimeKind::Unspecified => "unspecified",
                    DateTimeKind::Utc => "utc",
                    DateTimeKind::Local => "local",
                };
                object.with("kind", kind)?.with("v", &*Clock(ticks).to_string())?.end()
            }
            Self::Json { millis, offset } => object
                .with("ms", &millis)?
                .with("offset", &offset.map(|it| Cow::Owned(it.to_string())))?
                .end(),
        }
    }
}

impl Show for Reference<'_> {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        Object::tagged("ref", serializer, view)?
            .with("id", &self.id)?
            .with("logicalName", &self.logical_name)?
            .with("name", &self.name)?
            .with("rowVersion", &self.row_version)?
            .list_if_sent("keyAttributes", &self.key_attributes)?
            .end()
    }
}

impl Show for Entity<'_> {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        Object::tagged("entity", serializer, view)?
            .with("logicalName", &self.logical_name)?
            .with("id", &self.id)?
            .with("rowVersion", &self.row_version)?
            .with("entityState", &self.entity_state)?
            .list("attributes", &self.attributes)?
            .list("formattedValues", &self.formatted_values)?
            .list_if_sent("keyAttributes", &self.key_attributes)?
            .list("relatedEntities", &self.related_entities)?
            .end()
    }
}

impl Show for Entities<'_> {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        Object::tagged("entities", serializer, view)?
            .with("entityName", &self.entity_name)?
            .with("minActiveRowVersion", &self.min_active_row_version)?
            .with("moreRecords", &self.more_records)?
            .with("pagingCookie", &self.paging_cookie)?
            .with("totalRecordCount", &self.total_record_count)?
            .with("totalRecordCountLimitExceeded", &self.total_record_count_limit_exceeded)?
            .list("entities", &self.entities)?
            .end()
    }
}

impl Show for Aliased<'_> {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        Object::tagged("aliased", serializer, view)?
            .with("entityLogicalName", &self.entity_logical_name)?
            .with("attributeLogicalName", &self.attribute_logical_name)?
            .with("needFormatting", &self.need_formatting)?
            .with("returnType", &self.return_type)?
            .with("value", self.value.get().unwrap_or(&ContextValue::Null))?
            .end()
    }
}

impl Show for ManagedBool<'_> {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        Object::tagged("managedbool", serializer, view)?
            .with("v", &self.value)?
            .with("canBeChanged", &self.can_be_changed)?
            .with("logicalName", &self.logical_name)?
            .end()
    }
}

impl Show for Relationship<'_> {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        Object::tagged("relationship", serializer, view)?
            .with("schemaName", &self.schema_name)?
            .with("primaryEntityRole", &self.primary_entity_role)?
            .end()
    }
}

impl Show for TypeName<'_> {
    fn show<S: Serializer>(&self, _: View, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Show for Named<'_> {
    fn show<S: Serializer>(&self, _: View, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Name(name) => serializer.serialize_str(name),
            Self::Number(number) => serializer.serialize_i64(*number),
        }
    }
}

impl<T: Show> Show for ContractMember<T> {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(it) => it.show(view, serializer),
            Self::Absent | Self::Nil => serializer.serialize_unit(),
        }
    }
}

impl Show for Option<Cow<'_, str>> {
    fn show<S: Serializer>(&self, _: View, serializer: S) -> Result<S::Ok, S::Error> {
        self.serialize(serializer)
    }
}

/// An image that is null is shown like a value that is null.
impl Show for Option<Entity<'_>> {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Some(it) => it.show(view, serializer),
            None => ContextValue::Null.show(view, serializer),
        }
    }
}

impl<T: Show> Show for Box<T> {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).show(view, serializer)
    }
}

impl<T: Show> Show for Vec<T> {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().show(view, serializer)
    }
}

impl<T: Show> Show for [T] {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        self.iter().try_for_each(|it| list.serialize_element(&Shown { it, view }))?;
        list.end()
    }
}

impl<K: Show, V: Show> Show for (K, V) {
    fn show<S: Serializer>(&self, view: View, serializer: S) -> Result<S::Ok, S::Error> {
        let mut pair = serializer.serialize_tuple(2)?;
        pair.serialize_element(&Shown { it: &self.0, view })?;
        pair.serialize_element(&Shown { it: &self.1, view })?;
        pair.end()
    }
}

macro_rules! show_simple {
    ($($type:ty: $method:ident($it:ident => $value:expr),)*) => {
        $(impl Show for $type {
            fn show<S: Serializer>(&self, _: View, serializer: S) -> Result<S::Ok, S::Error> {
                let $it = self;
                serializer.$method($value)
            }
        })*
    };
}

show_simple! {
    bool: serialize_bool(it => *it),
    i32: serialize_i32(it => *it),
    i64: serialize_i64(it => *it),
    str: serialize_str(it => it),
    Cow<'_, str>: serialize_str(it => it),
    Uuid: collect_str(it => it),
}

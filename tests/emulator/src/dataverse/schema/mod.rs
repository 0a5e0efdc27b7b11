//! The tables that exist, and what their columns take.

mod business;
mod platform;
mod registration;

use uuid::Uuid;

/// What a column holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// The id of the row itself.
    Key,
    /// Text of at most so many characters.
    Text(u32),
    /// The same, in several lines.
    Memo(u32),
    Bool,
    Int,
    Long,
    Guid,
    Moment,
    /// One of these numbers, with their labels.
    Choice(&'static [(i32, &'static str)]),
    State(&'static [(i32, &'static str)]),
    Status(&'static [(i32, &'static str)]),
    /// Another row: names of navigation properties, and the table that each leads to.
    Lookup(&'static [(&'static str, &'static str)]),
    /// Logical name of a table, which the Web API writes as text.
    TableName,
    /// A yes or no that a solution may fix.
    Managed,
}

/// Who may set a column.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Setting {
    Anybody,
    /// Only who makes the row; what later requests say is passed over.
    AtCreation,
    /// Nobody; what requests say is passed over.
    Ignored,
    /// Nobody; a request that tries is refused.
    Refused,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) setting: Setting,
    /// Whether it is never returned.
    pub(crate) write_only: bool,
    /// Whether no integration should ever read it. The journal tells who did.
    pub(crate) secret: bool,
}

/// Rows of another table that point to a row of this one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Collection {
    pub(crate) name: &'static str,
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) set: &'static str,
    /// The name as privileges have it.
    pub(crate) schema_name: &'static str,
    pub(crate) key: &'static str,
    pub(crate) primary_name: &'static str,
    pub(crate) code: i32,
    pub(crate) columns: &'static [Column],
    pub(crate) collections: &'static [Collection],
    /// Whether rows have an owner.
    pub(crate) owned: bool,
    /// Whether change tracking can be switched on.
    pub(crate) trackable: bool,
}

static TABLES: [Table; 12] = [
    business::CONTACT,
    business::EXTERNAL_IDENTITY,
    platform::SYSTEM_USER,
    platform::ROLE,
    platform::ORGANIZATION,
    platform::SOLUTION,
    platform::ASYNC_OPERATION,
    registration::SERVICE_ENDPOINT,
    registration::SDK_MESSAGE,
    registration::SDK_MESSAGE_FILTER,
    registration::STEP,
    registration::IMAGE,
];

/// All tables.
pub(crate) fn tables() -> &'static [Table] {
    &TABLES
}

/// The table of a logical name.
pub(crate) fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// The table of an entity set.
pub(crate) fn by_set(set: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.set == set)
}

impl Table {
    pub(crate) fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The column that the Web API calls by this name: lookups are `_x_value` there.
    pub(crate) fn property(&self, name: &str) -> Option<&'static Column> {
        let lookup = name.strip_prefix('_').and_then(|rest| rest.strip_suffix("_value"));
        match lookup {
            Some(name) => self.column(name).filter(|column| column.is_lookup()),
            None => self.column(name).filter(|column| !column.is_lookup()),
        }
    }

    /// The lookup behind a navigation property, and the name of the table it leads to.
    pub(crate) fn navigation(&self, name: &str) -> Option<(&'static Column, &'static str)> {
        self.columns.iter().find_map(|column| {
            let Kind::Lookup(navigations) = column.kind else { return None };
            let (_, to) = navigations.iter().find(|(navigation, _)| *navigation == name)?;
            Some((column, *to))
        })
    }

    pub(crate) fn collection(&self, name: &str) -> Option<&'static Collection> {
        self.collections.iter().find(|collection| collection.name == name)
    }

    /// The id that the metadata gives to a part of it; the same in every run, so that nothing hangs on chance.
    pub(crate) fn metadata_id(&self, part: &str) -> Uuid {
        Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}/{part}", self.name).as_bytes())
    }
}

impl Column {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, setting: Setting::Anybody, write_only: false, secret: false }
    }

    const fn text(name: &'static str, most: u32) -> Self {
        Self::new(name, Kind::Text(most))
    }

    const fn key(name: &'static str) -> Self {
        Self::new(name, Kind::Key).at_creation()
    }

    const fn at_creation(mut self) -> Self {
        self.setting = Setting::AtCreation;
        self
    }

    const fn read_only(mut self) -> Self {
        self.setting = Setting::Ignored;
        self
    }

    const fn refused(mut self) -> Self {
        self.setting = Setting::Refused;
        self
    }

    const fn write_only(mut self) -> Self {
        self.write_only = true;
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub(crate) fn is_lookup(&self) -> bool {
        matches!(self.kind, Kind::Lookup(_))
    }

    /// Its name in the Web API.
    pub(crate) fn property(&self) -> String {
        if self.is_lookup() { format!("_{}_value", self.name) } else { self.name.to_owned() }
    }
}

const ACTIVE: &[(i32, &str)] = &[(0, "Active"), (1, "Inactive")];
const ACTIVE_REASON: &[(i32, &str)] = &[(1, "Active"), (2, "Inactive")];
const USER: &[(&str, &str)] = &[("ownerid", "systemuser")];
const VERSION: Column = Column::new("versionnumber", Kind::Long).read_only();
const CREATED: Column = Column::new("createdon", Kind::Moment).read_only();
const MODIFIED: Column = Column::new("modifiedon", Kind::Moment).read_only();
const OWNER: Column = Column::new("ownerid", Kind::Lookup(USER));
const MODIFIED_BY: Column =
    Column::new("modifiedby", Kind::Lookup(&[("modifiedby", "systemuser")])).read_only();
const STATE: Column = Column::new("statecode", Kind::State(ACTIVE));
const STATUS: Column = Column::new("statuscode", Kind::Status(ACTIVE_REASON));

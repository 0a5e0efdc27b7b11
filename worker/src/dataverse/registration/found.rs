//! What is registered, as Dataverse tells it. Columns that it leaves out are unknown, which is never as wanted.

use std::collections::BTreeMap;

use serde::Deserialize;
use uuid::Uuid;

use super::{
    super::{endpoint::host, metadata::Column, rows::Organization},
    desired::{ColumnNames, Contract, Desired, Hook},
};

/// All that bears on the changes of contacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub organization: Organization,
    /// Endpoints of our name, and all that post to our queue.
    pub endpoints: Vec<EndpointRow>,
    /// The steps of these endpoints.
    pub steps: Vec<StepRow>,
    /// What a new step is made of.
    pub catalog: HookCatalog,
    /// The columns of the table; `None` where they could not be read.
    pub columns: Option<Vec<Column>>,
}

/// Ids that differ between environments: of messages, and of their use on the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HookCatalog(pub BTreeMap<Hook, (Uuid, Uuid)>);

/// A row of `serviceendpoints`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct EndpointRow {
    #[serde(rename = "serviceendpointid")]
    pub id: Uuid,
    pub name: Option<String>,
    pub description: Option<String>,
    pub contract: Option<i64>,
    pub namespaceformat: Option<i64>,
    pub namespaceaddress: Option<String>,
    pub path: Option<String>,
    pub connectionmode: Option<i64>,
    pub authtype: Option<i64>,
    pub saskeyname: Option<String>,
    pub issaskeyset: Option<bool>,
    pub messageformat: Option<i64>,
    pub messagecharset: Option<i64>,
    pub userclaim: Option<i64>,
    pub ismanaged: Option<bool>,
    pub iscustomizable: Option<ManagedProperty>,
}

/// A row of `sdkmessageprocessingsteps`, with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct StepRow {
    #[serde(rename = "sdkmessageprocessingstepid")]
    pub id: Uuid,
    #[serde(rename = "_eventhandler_value")]
    pub endpoint: Option<Uuid>,
    pub name: Option<String>,
    pub stage: Option<i64>,
    pub mode: Option<i64>,
    pub statecode: Option<i64>,
    pub filteringattributes: Option<String>,
    pub asyncautodelete: Option<bool>,
    pub supporteddeployment: Option<i64>,
    pub ismanaged: Option<bool>,
    pub iscustomizable: Option<ManagedProperty>,
    #[serde(rename = "sdkmessageid")]
    pub message: Option<MessageName>,
    #[serde(rename = "sdkmessagefilterid")]
    pub filter: Option<TableName>,
    #[serde(rename = "sdkmessageprocessingstepid_sdkmessageprocessingstepimage", default)]
    pub images: Vec<ImageRow>,
}

/// A row of `sdkmessageprocessingstepimages`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ImageRow {
    #[serde(rename = "sdkmessageprocessingstepimageid")]
    pub id: Uuid,
    pub name: Option<String>,
    pub entityalias: Option<String>,
    pub imagetype: Option<i64>,
    pub messagepropertyname: Option<String>,
    pub attributes: Option<String>,
    pub ismanaged: Option<bool>,
    pub iscustomizable: Option<ManagedProperty>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct MessageName {
    pub name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct TableName {
    pub primaryobjecttypecode: Option<String>,
}

/// A property that a solution may have fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ManagedProperty {
    pub value: bool,
}

/// What may be done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grasp {
    /// Everything.
    Free,
    /// It belongs to a managed solution: what an import leaves open may be set, which is the key and the state.
    Managed,
    /// Nothing.
    Fixed,
}

impl Grasp {
    pub(crate) fn of(managed: Option<bool>, customizable: Option<ManagedProperty>) -> Self {
        match (managed, customizable) {
            (_, Some(ManagedProperty { value: false })) => Self::Fixed,
            (Some(true), _) => Self::Managed,
            _ => Self::Free,
        }
    }
}

impl EndpointRow {
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    /// Whether it posts to the queue that is wanted.
    pub(crate) fn posts_to(&self, desired: &Desired) -> bool {
        self.is_at(desired) && self.has_path(desired)
    }

    /// Whether it is in the namespace that is wanted.
    pub(crate) fn is_at(&self, desired: &Desired) -> bool {
        let address = self.namespaceaddress.as_deref().unwrap_or_default();
        host(address).eq_ignore_ascii_case(&desired.destination.host)
    }

    /// Names of queues are the same in any case.
    pub(crate) fn has_path(&self, desired: &Desired) -> bool {
        let own = self.path.as_deref().unwrap_or_default().trim_matches('/');
        own.eq_ignore_ascii_case(&desired.destination.entity)
    }

    /// Whether it is a queue or a topic at all.
    pub(crate) fn is_bus(&self) -> bool {
        [Contract::Queue, Contract::Topic].into_iter().any(|one| self.contract == Some(one.number()))
    }

    pub(crate) fn grasp(&self) -> Grasp {
        Grasp::of(self.ismanaged, self.iscustomizable)
    }

    /// How a person finds it.
    pub(crate) fn title(&self) -> String {
        format!("endpoint {} ({})", self.name.as_deref().unwrap_or("without a name"), self.id)
    }
}

impl StepRow {
    pub(crate) fn message(&self) -> &str {
        self.message.as_ref().and_then(|message| message.name.as_deref()).unwrap_or_default()
    }

    /// The one table that it is for.
    pub(crate) fn table(&self) -> Option<&str> {
        let table = self.filter.as_ref()?.primaryobjecttypecode.as_deref()?;
        (!table.is_empty() && table != "none").then_some(table)
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.statecode == Some(0)
    }

    pub(crate) fn grasp(&self) -> Grasp {
        Grasp::of(self.ismanaged, self.iscustomizable)
    }

    /// How a person finds it.
    pub(crate) fn title(&self) -> String {
        let of = self.table().unwrap_or("every table");
        format!("step {} of {of} ({})", self.message(), self.id)
    }
}

impl ImageRow {
    pub(crate) fn grasp(&self) -> Grasp {
        Grasp::of(self.ismanaged, self.iscustomizable)
    }

    pub(crate) fn columns(&self) -> ColumnNames {
        names(self.attributes.as_deref())
    }
}

/// Columns of a list, however it is written.
pub(crate) fn names(list: Option<&str>) -> ColumnNames {
    let names = list.unwrap_or_default().split(',').map(|name| name.trim().to_ascii_lowercase());
    names.filter(|name| !name.is_empty()).map(Into::into).collect()
}

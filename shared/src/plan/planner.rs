//! What planning depends on besides the change.

use std::collections::BTreeSet;

use super::{
    filter::{ChangeFilter, Requirement},
    rules::{KnownLinks, LinkRule},
};
use crate::{
    ids::OrganizationId,
    mapping::{Mapping, MappingRow},
    target::Addressee,
};

/// Everything that planning depends on besides the change itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planner {
    /// Column that holds the user's object id.
    pub link_column: Box<str>,
    /// The table of columns and properties.
    pub mapping: Mapping,
    /// Organizations accepted; empty means any.
    pub organizations: Vec<OrganizationId>,
    /// From where the contact that a user is linked with may move his sign-in address.
    pub link_match: LinkMatch,
    /// What a change must be to count.
    pub filter: ChangeFilter,
    /// What becomes of a link that means no user of this directory.
    pub on_foreign: OnForeign,
    /// How the user is found, if not by the object id in `link_column`.
    pub rules: Vec<LinkRule>,
    /// What the directory has answered.
    pub known: KnownLinks,
    /// For which of several targets it plans, where copies for all of them come by.
    pub addressee: Option<Addressee>,
    /// Whether rows of Dataverse can be read where a message does not say enough.
    pub read_back: bool,
}

impl Planner {
    /// Column in which a Power Pages portal keeps the user's id.
    pub const DEFAULT_LINK_COLUMN: &'static str = "adx_identity_username";

    /// A planner with a mapping and everything else as most installations have it.
    #[must_use]
    pub fn new(mapping: Mapping) -> Self {
        Self {
            link_column: Self::DEFAULT_LINK_COLUMN.into(),
            mapping,
            organizations: Vec::new(),
            link_match: LinkMatch::default(),
            filter: ChangeFilter::default(),
            on_foreign: OnForeign::default(),
            rules: Vec::new(),
            known: KnownLinks::default(),
            addressee: None,
            read_back: false,
        }
    }

    /// Every column of the contact that planning looks at: those that name the user, those that feed the mapping, and
    /// those that the filter asks for. What no step reports and no image shows of them cannot be planned.
    #[must_use]
    pub fn columns(&self) -> BTreeSet<&str> {
        let mapped = self.mapping.rows().iter().flat_map(MappingRow::columns);
        let required = self.filter.require.iter().map(Requirement::column);
        self.link_columns().chain(mapped).chain(required).collect()
    }
}

/// What must agree for a sign-in address to be moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LinkMatch {
    /// The message leaves the link as it was.
    #[default]
    Unchanged,
    /// That, and the user signs in with the address that the contact had before, or that was written for it last.
    Previous,
    /// Nothing: whoever edits the link may move the address of any user.
    Anything,
}

impl LinkMatch {
    /// Names in the settings.
    pub const NAMES: [(&'static str, Self); 3] =
        [("unchanged", Self::Unchanged), ("previous", Self::Previous), ("anything", Self::Anything)];
}

/// What becomes of a change whose contact has a link that means no user of this directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnForeign {
    /// A person looks at it.
    #[default]
    DeadLetter,
    /// It is completed, and counted by kind.
    Ignore,
}

impl OnForeign {
    /// Names in the settings.
    pub const NAMES: [(&'static str, Self); 2] =
        [("dead-letter", Self::DeadLetter), ("ignore", Self::Ignore)];
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        change::{Change, ColumnValue, Columns, Operation},
        plan::{IdentityIssuer, tests::samples::change},
    };

    /// Some are read by one planner or the other, and some by none.
    const NAMES: [&str; 8] = [
        Planner::DEFAULT_LINK_COLUMN,
        "new_sub",
        "emailaddress1",
        "firstname",
        "lastname",
        "statecode",
        "telephone1",
        "adx_identity_securitystamp",
    ];

    fn some_columns() -> impl Strategy<Value = Columns> {
        let value = prop_oneof![
            Just(ColumnValue::Null),
            Just(ColumnValue::Text("11111111-2222-4333-8444-aaaaaaaaaaaa".into())),
            Just(ColumnValue::Text("0".into())),
            Just(ColumnValue::Bool(true)),
        ];
        let pairs = proptest::collection::vec((proptest::sample::select(NAMES.to_vec()), value), 0..6);
        pairs.prop_map(|pairs| pairs.into_iter().collect())
    }

    fn planners() -> [Planner; 2] {
        let usual = Planner::new(Mapping::preset_default());
        let require = vec![Requirement::parse("statecode = 0").expect("a requirement")];
        let rules = vec![LinkRule::Identity {
            issuer: IdentityIssuer::Fixed("https://idp.example".into()),
            id: "new_sub".into(),
        }];
        let filter = ChangeFilter { require, ..ChangeFilter::default() };
        [usual.clone(), Planner { filter, rules, ..usual }]
    }

    proptest! {
        #[test]
        fn no_other_column_decides_what_is_planned(
            target in some_columns(),
            before in some_columns(),
            after in some_columns(),
            operation in proptest::sample::select(vec![Operation::Create, Operation::Update, Operation::Merge]),
        ) {
            for planner in planners() {
                let all = Change {
                    columns: target.clone(),
                    before: before.clone(),
                    after: after.clone(),
                    imaged: true,
                    ..change(operation, &[], &[], &[])
                };
                let read = planner.columns();
                let only = |columns: &Columns| -> Columns {
                    let kept = columns.iter().filter(|(name, _)| read.contains(name));
                    kept.map(|(name, value)| (name.to_owned(), value.clone())).collect()
                };
                let restricted = Change {
                    columns: only(&target),
                    before: only(&before),
                    after: only(&after),
                    ..all.clone()
                };
                prop_assert_eq!(planner.plan(&restricted), planner.plan(&all));
            }
        }
    }
}

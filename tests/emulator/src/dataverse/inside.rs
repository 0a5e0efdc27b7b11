//! Writes from within the process, past all rights, with everything that goes along with a write.

use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::{
    access::Access,
    commit::{self, Author},
    refusal::Refusal,
    schema,
    state::{State, second},
    value::Value,
    written::Written,
};
use crate::clock;

impl State {
    /// The platform as an author.
    fn platform(&self) -> Author {
        Author {
            user: self.facts.system_user,
            user_agent: "local".to_owned(),
            tag: None,
            at: second(clock::now()),
            request: Uuid::new_v4(),
            bypass: false,
            sets_state: true,
        }
    }

    /// Makes a row, or changes the one that is there.
    pub(crate) fn write_inside(
        &mut self,
        set: &str,
        id: Option<Uuid>,
        columns: &Map<String, Json>,
    ) -> Result<(), Refusal> {
        let author = self.platform();
        let table = schema::by_set(set).ok_or_else(|| Refusal::unknown_segment(set))?;
        let mut target = self.payload(&Access::system(author.user), table, columns)?;
        self.within(|state| match id {
            Some(id) if state.store.row(table.name, id).is_some() => {
                commit::update(&mut state.store, table, id, target, &author).map(|written| vec![written])
            }
            _ => {
                target.extend(id.map(|id| (table.key.to_owned(), Value::Guid(id))));
                commit::create(&mut state.store, table, target, &author).map(|written| vec![written])
            }
        })
    }

    /// Removes a row.
    pub(crate) fn delete_inside(&mut self, set: &str, id: Uuid) -> Result<(), Refusal> {
        let author = self.platform();
        let table = schema::by_set(set).ok_or_else(|| Refusal::unknown_segment(set))?;
        self.within(|state| commit::delete(&mut state.store, table, id, &author))
    }

    /// A transaction around a write.
    fn within(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<Vec<Written>, Refusal>,
    ) -> Result<(), Refusal> {
        self.begin();
        match write(self) {
            Ok(written) => {
                self.written.extend(written);
                self.commit();
                Ok(())
            }
            Err(refusal) => {
                self.roll_back();
                Err(refusal)
            }
        }
    }
}

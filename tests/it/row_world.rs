//! A world with an environment of Dataverse beside it that posts nothing by itself.

use std::path::PathBuf;

use anyhow::Result;
use emulator::{
    ca::Ca,
    dataverse::{Dataverse, Options},
    graph::User,
};
use serde_json::{Value, json};
use tests::{
    organization,
    quick::{GUARDED, QUICK, contact, user},
    world::{self, World},
};
use uuid::Uuid;

/// The rows of contacts on one side, their users on the other.
pub(crate) struct RowWorld {
    pub(crate) world: World,
    pub(crate) dataverse: Dataverse,
}

impl RowWorld {
    /// Users 1 to `users` without values.
    pub(crate) async fn start(options: Options, users: u128) -> Result<Self> {
        let world = World::start(world::Options::default()).await?;
        for number in 1..=users {
            world.graph.add_user(User::new(user(number)))?;
        }
        let dataverse = Dataverse::start(options, &Ca::new()?, &world.graph).await?;
        Ok(Self { world, dataverse })
    }

    /// A settings file: quick, with the guard, with the environment, and with these layers above.
    pub(crate) fn settings(&self, layers: &[&str]) -> Result<PathBuf> {
        let own = organization::settings(&self.world, &self.dataverse);
        self.world.layered(&[&[QUICK, GUARDED, own.as_str()], layers].concat())
    }

    /// Saves a contact: its link, and its first name.
    pub(crate) fn save(&self, number: u128, link: impl Into<Option<Uuid>>, name: &str) -> Result<()> {
        let link: Option<Uuid> = link.into();
        let columns = json!({"adx_identity_username": link, "firstname": name, "lastname": "King"});
        let Value::Object(columns) = columns else { unreachable!("an object") };
        let saved = self.dataverse.write_contact(contact(number), &columns);
        saved.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))
    }

    /// The first name of a user, as it is in the directory.
    pub(crate) fn name(&self, number: u128) -> Result<Option<String>> {
        Ok(self.world.user(user(number))?.text("givenName").map(str::to_owned))
    }
}

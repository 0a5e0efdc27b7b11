//! One person in two kinds of directory: what the same change of a contact becomes in Azure AD B2C and in Entra External ID.

use anyhow::ensure;
use emulator::graph::{self, Identity, Profile, User};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    message::{ContactChange, moment},
    world::{Options, World},
};

/// A directory of the demonstration.
#[derive(Clone, Copy, Debug)]
pub struct Directory {
    /// What it is called.
    pub name: &'static str,
    /// The preset of the mapping that belongs to it.
    pub preset: &'static str,
    profile: Profile,
    /// How its person signs in.
    sign_in: fn(&str) -> Identity,
}

/// The directories that are shown, in order.
pub const DIRECTORIES: [Directory; 2] = [
    Directory {
        name: "Azure AD B2C, signs in with a password",
        preset: "b2c",
        profile: Profile::B2c,
        sign_in: Identity::email,
    },
    Directory {
        name: "External ID, signs in with a code by e-mail",
        preset: "external_id",
        profile: Profile::ExternalId,
        sign_in: Identity::code,
    },
];

const PERSON: Uuid = Uuid::from_u128(0xada);
const BEFORE: &str = "ada@old.example";
const AFTER: &str = "ada@new.example";

/// A person of a directory before and after the change, in words.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The directory.
    pub directory: Directory,
    /// The person at first.
    pub before: String,
    /// The person at the end.
    pub after: String,
}

impl Directory {
    /// Lets a worker with these settings besides apply the change here; fails if it comes to anything else than it should.
    pub async fn show(self, settings: &str, patience: std::time::Duration) -> anyhow::Result<Shown> {
        let graph = graph::Options { profile: self.profile, ..graph::Options::default() };
        let world = World::start(Options { graph, ..Options::default() }).await?;
        let ada = User::new(PERSON).with("givenName", "Ada").with("surname", "Byron");
        let ada =
            ada.with_identity((self.sign_in)(BEFORE)).with_identity(Identity::federated("google.com", "118"));
        world.graph.add_user(ada)?;
        let before = told(&world.user(PERSON)?);
        let change = ContactChange::new(Uuid::from_u128(1), moment(1))
            .before("adx_identity_username", PERSON.to_string())
            .before("emailaddress1", BEFORE)
            .set("emailaddress1", AFTER)
            .set("lastname", "Lovelace");
        world.post_changes(&[change]).await?;
        let settings = world.settings(&format!("[mapping]\npreset = \"{}\"\n{settings}", self.preset))?;
        let worker = world.start_worker(&settings)?;
        world.drained(patience).await?;
        let log = worker.stop().await?;
        let user = world.user(PERSON)?;
        let moved = user.identities.iter().any(|identity| identity.issuer_assigned_id == AFTER);
        let kept = user.identities.iter().any(|identity| identity.issuer_assigned_id == "118");
        ensure!(moved && kept && user.text("surname") == Some("Lovelace"), "{}:\n{log}", told(&user));
        Ok(Shown { directory: self, before, after: told(&user) })
    }
}

/// A person in words: the name, how one signs in, and where the address stands.
fn told(user: &User) -> String {
    let text = |name: &str| user.text(name).unwrap_or("(empty)").to_owned();
    let signs_in = user.identities.iter().find(|identity| identity.issuer_assigned_id.contains(".example"));
    let list = user.get("otherMails");
    let others: Vec<_> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    format!(
        "{} {}\nsigns in as {}{}\nmail {}\notherMails {}",
        text("givenName"),
        text("surname"),
        signs_in.map_or("(nobody)", |identity| &identity.issuer_assigned_id),
        if user.identities.iter().any(|identity| identity.issuer == "google.com") {
            ", or by google.com"
        } else {
            ""
        },
        text("mail"),
        if others.is_empty() { "(empty)".to_owned() } else { others.join(", ") },
    )
}

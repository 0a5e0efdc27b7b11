//! `contactsync dataverse unregister`: what `register` has made goes, and nothing else.

use std::process::ExitCode;

use serde_json::json;
use shared::shown::shown;

use super::{
    ground::{EndpointName, Ground, heading, heading_json},
    register::{deeds, tell, was_done, with_role, would_be_done},
};
use crate::{
    commands::{json_text, print, print_words},
    dataverse::registration::{Removal, carry_out, removal},
    settings::{QueueAndDataverse, Settings},
};

/// Options of `dataverse unregister`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
From then on no change arrives; what is in the queue already stays there. Only the endpoint of this name goes, with its steps \
on contacts and their images. An endpoint on which others have hung steps stays for them.

Exit codes: 0 done, or there is nothing; 1 something would be done, or failed; 78 bad settings.")]
pub struct Args {
    #[command(flatten)]
    name: EndpointName,
    /// Tell what would be done. This is so unless --apply is given.
    #[arg(long, conflicts_with = "apply")]
    plan: bool,
    /// Do it.
    #[arg(long)]
    apply: bool,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Plans, and carries out what was planned.
pub(super) async fn run(
    settings: Settings<QueueAndDataverse>,
    beside: &[Settings<QueueAndDataverse>],
    args: &Args,
) -> anyhow::Result<ExitCode> {
    let ground = Ground::open(settings, beside, &args.name).await?;
    let found = ground.look().await?;
    let Removal { plan, left } = removal(&ground.desired, &found)?;
    if !args.json {
        print_words(&heading(&found, &ground.desired))?;
    }
    if args.apply {
        let result = carry_out(&ground.client, &plan, None, |deed, how| {
            if !args.json {
                tell(deed, how);
            }
        });
        result.await.map_err(with_role)?;
    } else if !args.json {
        print_words(&lines(plan.deeds.iter().map(ToString::to_string)))?;
    }
    let open = !args.apply && !plan.is_empty();
    if args.json {
        let mut document = heading_json(&found, &ground.desired);
        document["ok"] = json!(!open);
        document["plan"] = deeds(&plan);
        document["left"] = json!(left);
        print(&json_text(&document))?;
    } else {
        let stays = lines(left.iter().map(|one| format!("stays  {one}")));
        let verdict = match (plan.deeds.len(), args.apply) {
            (0, _) => "Nothing is to be done.\n".to_owned(),
            (_, true) => format!("{}.\n", was_done(&plan)),
            (_, false) => format!("{}.\n", would_be_done(&plan)),
        };
        print_words(&(stays + &verdict))?;
    }
    Ok(ExitCode::from(u8::from(open)))
}

/// One thing a line, whatever words of others are in it.
fn lines(things: impl Iterator<Item = String>) -> String {
    things.fold(String::new(), |text, thing| text + &shown(&thing) + "\n")
}

//! `held approve`: lets messages through.

use std::process::ExitCode;

use serde_json::json;
use servicebus::Queue;
use shared::shown::shown;
use uuid::Uuid;

use super::consent::Decision;
use crate::{
    commands::{json_text, print, print_words, replay::rate, runtime::stop_signal, screen::Screen},
    operate::held::{Approval, Decided, DecisionEnd, HeldFilter},
    settings::{QueueAlone, Settings},
};

/// Options of `held approve`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each message is sent again with the word that it was let through, and then taken back where it was held; a command that is \
killed in between is simply begun again. Messages that were let through are written behind what happens now. Where a user has a \
newer value of a property by then, that stays.

With a stream its author's further changes flow as well: as long as messages of it are let through, and for the time of \
mass_change.window after that. Not so with --contact or --user, which let single messages through. A message that is held for \
several properties is let through as a whole.

Exit codes: 0 all were let through, 1 not all or nobody has said yes, 2 wrong usage, 78 bad settings.")]
pub struct Args {
    /// All that is held aside, where no filter says which.
    #[arg(long)]
    all: bool,
    /// Do it without being asked.
    #[arg(long)]
    yes: bool,
    /// Rate of messages: 10, 10/s, 300/m. Graph allows 20 writes a second per app and tenant in all.
    #[arg(long, value_name = "N/s", default_value = "10/s", value_parser = rate)]
    rate: f64,
    /// Print the outcome as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    filter: HeldFilter,
}

/// Lets them through.
pub(super) async fn run(
    queue: &dyn Queue,
    settings: &Settings<QueueAlone>,
    args: &Args,
) -> anyhow::Result<ExitCode> {
    let decision = Decision {
        filter: &args.filter,
        all: args.all,
        yes: args.yes,
        json: args.json,
        question: |count| format!("Write these {count} changes to their users?"),
        would: "let through",
    };
    let Some(count) = decision.agreed(queue, settings).await? else { return Ok(ExitCode::FAILURE) };
    let stop = stop_signal()?;
    let mut screen = Screen::new(Some(count));
    let run = Uuid::new_v4();
    let approval = Approval { queue, filter: &args.filter, planner: &settings.planner, run, rate: args.rate };
    let (decided, end) = approval
        .carry_out(stop, |done| screen.at(done, "let through", || format!("{done} of {count} let through")))
        .await;
    screen.end();
    tell(args, decided, &end)?;
    Ok(if end == DecisionEnd::Done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(args: &Args, decided: Decided, end: &DecisionEnd) -> anyhow::Result<()> {
    let Decided { messages, gone } = decided;
    let why = match end {
        DecisionEnd::Done => None,
        DecisionEnd::Stopped => Some("it was stopped".to_owned()),
        DecisionEnd::Failed(why) => Some(shown(why).into_owned()),
    };
    if args.json {
        return print(&json_text(&json!({ "approved": messages, "gone": gone, "failed": why })));
    }
    print_words(&format!("{messages} messages were let through\n"))?;
    if gone > 0 {
        print_words(&format!("{gone} of them had been decided about meanwhile, or had come due\n"))?;
    }
    why.map_or(Ok(()), |why| {
        print_words(&format!("not all: {why}; the same command goes on with the rest\n"))
    })
}

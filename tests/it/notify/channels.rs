//! What answers of receivers mean.

use anyhow::{Context, Result};
use emulator::graph::Audience;
use tests::{
    notified::{Reply, TellReceiver, check_event},
    pair::contactsync,
    quick::world,
};

use super::{HOOK, TEAMS, mail_identity, mail_server, settings, unreadable, webhook};

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_asks_for_time_gets_the_same_event_then() -> Result<()> {
    let world = world(0).await?;
    let receiver = TellReceiver::start().await?;
    receiver.script(HOOK, [Reply::After(429, 1), Reply::Status(503, ""), Reply::Status(204, "")]);
    let worker = world.start_worker(&settings(&world, &[&webhook(&receiver)])?)?;
    world.store(unreadable(1))?;
    let tries = receiver.until(HOOK, 3).await?;
    worker.stop().await?;
    let ids: Vec<_> = tries.iter().take(3).map(|request| request.header("webhook-id")).collect();
    assert!(ids.iter().all(|id| *id == ids[0] && !id.is_empty()), "{ids:?}");
    let times = tries.iter().take(3).map(|request| request.header("webhook-timestamp").parse::<i64>());
    let times = times.collect::<Result<Vec<_>, _>>()?;
    assert!(times[1] > times[0], "each try is dated by itself, and the wait is kept: {times:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_is_left_alone_and_told_of_by_the_others() -> Result<()> {
    let world = world(0).await?;
    let receiver = TellReceiver::start().await?;
    receiver.script(TEAMS, [Reply::Status(410, "gone")]);
    let both = format!(
        "{}\n[[notify.channel]]\nname = \"chat\"\nkind = \"teams\"\nurl = \"{}{TEAMS}\"\n",
        webhook(&receiver),
        receiver.root
    );
    let worker = world.start_worker(&settings(&world, &[&both])?)?;
    world.store(unreadable(1))?;
    receiver.until(TEAMS, 1).await?;
    let mut count = 1;
    loop {
        let events = receiver.until(HOOK, count).await?;
        let data = events.iter().map(check_event).collect::<Result<Vec<_>>>()?;
        if data.iter().any(|data| data.to_string().contains("by the channel chat: 410 Gone")) {
            break;
        }
        count += 1;
    }
    let log = worker.stop().await?;
    assert_eq!(receiver.got(TEAMS).len(), 1, "{log}");
    assert!(log.contains("it is not asked again before a restart"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_to_another_host_is_not_followed() -> Result<()> {
    let world = world(0).await?;
    let (receiver, other) = (TellReceiver::start().await?, TellReceiver::start().await?);
    receiver
        .script(HOOK, [Reply::Redirect(format!("{}{HOOK}", other.root.replace("127.0.0.1", "localhost")))]);
    let done = contactsync(&settings(&world, &[&webhook(&receiver)])?, "notify test").await?;
    assert_eq!(done.code, Some(1), "{}{}", done.out, done.err);
    assert!(done.out.contains("307") && done.out.contains("localhost"), "{}", done.out);
    assert_eq!((receiver.got(HOOK).len(), other.got(HOOK).len()), (1, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_by_tls_alone_and_by_token_where_there_is_no_password() -> Result<()> {
    let world = world(0).await?;
    let mail = mail_server(&world).await?;
    let channel = format!(
        "[[notify.channel]]\nname = \"mail\"\nkind = \"smtp\"\nhost = \"localhost\"\nport = {}\nuser = \"alerts@contoso.example\"\n\
         from = \"alerts@contoso.example\"\nto = [\"ops@contoso.example\"]\n{}",
        mail.port,
        mail_identity(&world)
    );
    let path = settings(&world, &[&channel])?;
    let done = contactsync(&path, "notify test").await?;
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    let mails = mail.mails();
    let (mechanism, said) = mails[0].auth.clone().context("signed in")?;
    assert_eq!(mechanism, "XOAUTH2");
    let token = said.strip_prefix("user=alerts@contoso.example\x01auth=Bearer ").context("a token")?;
    let token = token.strip_suffix("\x01\x01").context("the end of the answer")?;
    assert!(world.graph.look_up_token(token, Audience::Mail).is_some(), "{said:?}");
    // A server that takes no sign-in, as Exchange Online does once basic authentication has ended.
    std::fs::write(world.folder().join("password"), "p4ssword")?;
    let by_password = format!("{channel}\n");
    let by_password = by_password.replace(
        "from = ",
        &format!("password_file = \"{}\"\nfrom = ", world.folder().join("password").display()),
    );
    mail.refuse("550 5.7.30 Basic authentication is not supported for Client Submission.");
    let done = contactsync(&settings(&world, &[&by_password])?, "notify test").await?;
    assert_eq!(done.code, Some(1), "{}{}", done.out, done.err);
    assert!(done.out.contains("5.7.30") && done.out.contains("basic"), "{}", done.out);
    let commands = mail.commands();
    let tls = commands.iter().position(|command| command == "STARTTLS").context("TLS")?;
    let signed_in = commands.iter().position(|command| command == "AUTH").context("AUTH")?;
    assert!(tls < signed_in, "{commands:?}");
    Ok(())
}

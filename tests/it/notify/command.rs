//! `contactsync notify test`, and what `check` says about channels.

use anyhow::Result;
use serde_json::Value;
use tests::{
    notified::{Reply, TellReceiver, check_card, check_event},
    pair::contactsync,
    quick::world,
};

use super::{HOOK, KEY, TEAMS, every_kind, mail_server, settings, webhook};

#[tokio::test(flavor = "multi_thread")]
async fn a_test_goes_to_every_channel_and_shows_what_each_answers() -> Result<()> {
    let world = world(0).await?;
    let (receiver, mail) = (TellReceiver::start().await?, mail_server(&world).await?);
    let path = settings(&world, &[&every_kind(&world, &receiver, &mail)?])?;
    let done = contactsync(&path, "notify test").await?;
    assert_eq!(done.code, Some(0), "{}{}", done.out, done.err);
    assert!(check_card(&receiver.got(TEAMS)[0])?.contains("This is a test"));
    assert_eq!(check_event(&receiver.got(HOOK)[0])?["state"], "test");
    assert!(mail.mails()[0].text.contains("This is a test"), "{:?}", mail.mails());

    receiver.script(TEAMS, [Reply::Status(413, "")]);
    let done = contactsync(&path, "notify test --json").await?;
    let told: Value = serde_json::from_str(&done.out)?;
    assert_eq!((done.code, told["channels"].as_array().map(Vec::len)), (Some(1), Some(5)), "{}", done.out);
    let chat = &told["channels"][1];
    assert_eq!((&chat["sent"], &chat["answer"]), (&false.into(), &"413 Payload Too Large".into()));
    let one = contactsync(&path, "notify test slack").await?;
    assert_eq!(one.code, Some(0), "{}{}", one.out, one.err);
    assert!(one.out.contains("200 OK: ok") && !one.out.contains("hook"), "{}", one.out);
    for secret in ["s3cret", "p4ssword", KEY, "ops@contoso.example"] {
        assert!(!done.out.contains(secret) && !done.err.contains(secret), "{secret}: {}", done.out);
    }
    let unknown = contactsync(&path, "notify test pager").await?;
    assert!(
        unknown.err.contains("there is no channel pager; the settings have hook, chat"),
        "{}",
        unknown.err
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_lists_channels_and_hides_what_opens_them() -> Result<()> {
    let world = world(0).await?;
    let receiver = TellReceiver::start().await?;
    let path = settings(&world, &[&webhook(&receiver)])?;
    for command in ["check", "check --list", "check --json", "config show", "config show --json"] {
        let done = contactsync(&path, command).await?;
        assert!(!done.out.contains("s3cret") && !done.out.contains(KEY), "{command}: {}", done.out);
    }
    let checked = contactsync(&path, "check").await?;
    assert!(checked.out.contains("tells       hook (webhook at http://127.0.0.1:"), "{}", checked.out);
    let none = contactsync(&world.settings("")?, "notify test").await?;
    assert_eq!(none.code, Some(1));
    assert!(none.err.contains("nobody is to be told"), "{}", none.err);
    Ok(())
}

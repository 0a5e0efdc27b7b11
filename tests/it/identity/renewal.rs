//! The token provider by itself: early renewal, and many callers at once.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use anyhow::Result;
use emulator::graph::{Answer, DEFAULT_CLIENT_ID, DEFAULT_SECRET, Fault, Kind, Scope};
use jiff::{SignedDuration, Timestamp};
use tests::world::World;
use worker::{
    http_client,
    identity::{App, Clients, Credential, EntraTokens, Identity, SecretSource, TokenProvider},
};

use super::world;

/// How far the clock of the one test that moves it is ahead, in seconds.
static AHEAD: AtomicI64 = AtomicI64::new(0);

fn moving_clock() -> Timestamp {
    servicebus::clock::now() + SignedDuration::from_secs(AHEAD.load(Ordering::SeqCst))
}

fn provider(world: &World, clock: fn() -> Timestamp) -> Result<EntraTokens> {
    let timeouts = http_client::Timeouts { connect: tests::PATIENCE, request: tests::PATIENCE };
    let ca = world.folder().join("ca.pem");
    let http = http_client::Client::new(timeouts, Some(&ca))?;
    let identity = Identity {
        authority: world.graph.https_url().parse()?,
        credential: Credential::Secret {
            app: App {
                tenant: world.graph.tenant().id.to_string().into(),
                client_id: DEFAULT_CLIENT_ID.to_string().into(),
            },
            secret: SecretSource::Value(DEFAULT_SECRET.into()),
        },
        metadata_host: None,
        secret_ends: None,
    };
    let clients = Clients::new(http);
    Ok(EntraTokens::new(identity, clients, "https://graph.microsoft.com", clock))
}

fn requests(world: &World) -> usize {
    world.graph.journal().iter().filter(|entry| entry.kind == Kind::Token).count()
}

/// The token endpoint is away until the faults are cleared.
fn away(world: &World) {
    let answer = Some(Answer::TokenError(90_033));
    world.graph.script(Fault { on: Scope::Token, times: None, answer, ..Fault::default() });
}

#[tokio::test]
async fn the_old_token_serves_while_its_renewal_fails_and_not_a_second_longer() -> Result<()> {
    let world = world().await?;
    let tokens = provider(&world, moving_clock)?;
    let first = tokens.token().await?;
    away(&world);
    // Three minutes before its end, at which time a new one is wanted.
    AHEAD.store(3_599 - 180, Ordering::SeqCst);
    assert_eq!(tokens.token().await?, first);
    assert_eq!(tokens.token().await?, first);
    assert_eq!(requests(&world), 2, "the second renewal waits for a while after the first failed");
    AHEAD.store(3_600, Ordering::SeqCst);
    let error = tokens.token().await.expect_err("the token has ended");
    assert_eq!(
        error.to_string(),
        "the token endpoint answered 400 temporarily_unavailable (AADSTS90033); it is busy, which passes"
    );
    world.graph.clear_faults();
    assert_ne!(tokens.token().await?, first);
    Ok(())
}

/// On one thread, so that all callers have asked before the answer can be read.
#[tokio::test]
async fn many_callers_cause_one_request_whether_it_succeeds_or_fails() -> Result<()> {
    let world = world().await?;
    world.graph.set_latency(std::time::Duration::from_millis(20));
    let tokens = Arc::new(provider(&world, servicebus::clock::now)?);
    let all = |tokens: &Arc<EntraTokens>| {
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let tokens = Arc::clone(tokens);
                tokio::spawn(async move { tokens.token().await })
            })
            .collect();
        calls
    };
    away(&world);
    for call in all(&tokens) {
        assert!(call.await?.is_err());
    }
    assert_eq!(requests(&world), 1);
    world.graph.clear_faults();
    let mut got = Vec::new();
    for call in all(&tokens) {
        got.push(call.await??);
    }
    got.dedup();
    assert_eq!((got.len(), requests(&world)), (1, 2));
    Ok(())
}

#[tokio::test]
async fn callers_refused_with_one_token_share_the_next() -> Result<()> {
    let world = world().await?;
    let tokens = provider(&world, servicebus::clock::now)?;
    let first = tokens.token().await?;
    world.graph.revoke_tokens();
    let second = tokens.renew(&first).await?;
    assert_ne!(first, second);
    assert_eq!(tokens.renew(&first).await?, second, "who comes late takes the token that is there");
    assert_eq!(requests(&world), 2);
    Ok(())
}

//! By which way secrets and tokens go: never by a proxy if they are for this machine.

use anyhow::{Context, Result, ensure};

use super::{
    PATIENCE, QUICK, change,
    front::{Front, Mode},
    user, world,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_this_machine_is_called_past_every_proxy_of_the_environment() -> Result<()> {
    let world = world(1).await?;
    let proxy = Front::start("", Mode::Smuggled).await?;
    let url = format!("http://user:word@{}", proxy.address);
    let variables = [
        ("HTTP_PROXY", &*url),
        ("http_proxy", &*url),
        ("HTTPS_PROXY", &*url),
        ("ALL_PROXY", &*url),
        ("NO_PROXY", "somewhere.example"),
    ];
    let plain = world.graph.http_url();
    let port = plain.rsplit_once(':').context("a port")?.1;
    let receiver = Front::start("", Mode::Smuggled).await?;
    let tls = world.bus.tls_connection_string().context("tls")?;
    let ways = [
        // All in plain text, by number and by name.
        format!(
            "[graph]\nroot = \"http://localhost:{port}\"\n[identity]\nauthority = \"{plain}\"\n[telemetry]\n\
             otlp_endpoint = \"http://{}\"\nqueue_interval = \"1s\"",
            receiver.address
        ),
        // All by TLS, and AMQP in a websocket.
        format!(
            "[graph]\nroot = \"{0}\"\n[identity]\nauthority = \"{0}\"\n[service_bus]\nconnection_string = \"{tls}\"\n\
             transport = \"websocket\"\n[telemetry]\nqueue_interval = \"1s\"",
            world.graph.https_url()
        ),
    ];
    for (at, way) in ways.iter().enumerate() {
        let settings = world.layered(&[QUICK, way])?;
        let worker = world.start_worker_with(&settings, &variables)?;
        let name = format!("Ada {at}");
        world.post_changes(&[change(1, at + 1, &name)]).await?;
        world
            .until(PATIENCE, "the change is applied", |world| {
                let heard = proxy.requests();
                ensure!(heard.is_empty(), "the proxy heard {heard:?}\n{}", worker.log()?);
                let now = world.user(user(1))?.get("givenName");
                Ok((now == name, now.to_string()))
            })
            .await?;
        worker.stop().await?;
    }
    assert_eq!(proxy.requests(), Vec::<String>::new(), "the proxy heard something");
    assert!(!receiver.requests().is_empty(), "telemetry went straight");
    Ok(())
}

//! `cargo emulator`: a local Service Bus, a local Graph and a local Dataverse, for development and for other languages' tests.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser;
use emulator::{
    access::Entra,
    breakage::Breakage,
    bus::{Options, ServiceBus},
    ca::Ca,
    config,
    dataverse::{self, Dataverse},
    graph::{Audience, DEFAULT_CLIENT_ID, DEFAULT_SECRET, Graph, Seed, Throttle},
};
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, registry, util::SubscriberInitExt};

/// A local Azure Service Bus, Microsoft Graph and Dataverse. Ctrl-C ends them.
#[derive(Debug, Parser)]
#[command(name = "emulator", version)]
struct Arguments {
    /// Entities, in the form of the official emulator's Config.json.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A queue to make with default settings; may be given more than once.
    #[arg(long = "queue", value_name = "NAME")]
    queues: Vec<String>,
    /// Port of plain AMQP; 0 takes a free one.
    #[arg(long, default_value_t = 5672)]
    amqp_port: u16,
    /// Port of AMQP over TLS.
    #[arg(long, default_value_t = 5671)]
    tls_port: u16,
    /// Port of the HTTP interface and of the health check.
    #[arg(long, default_value_t = 5300)]
    admin_port: u16,
    /// Port of Graph over HTTP.
    #[arg(long, default_value_t = 5080)]
    graph_port: u16,
    /// Port of Graph and of the token endpoint over HTTPS.
    #[arg(long, default_value_t = 5443)]
    graph_tls_port: u16,
    /// Users and apps of the tenant, as JSON.
    #[arg(long, value_name = "FILE")]
    graph_seed: Option<PathBuf>,
    /// Keep Microsoft's write quota, this many times faster (1 is the real one); no quota if not given.
    #[arg(long, value_name = "SCALE")]
    graph_quota: Option<f64>,
    /// Port of Dataverse over HTTP.
    #[arg(long, default_value_t = 5090)]
    dataverse_port: u16,
    /// Port of Dataverse over HTTPS.
    #[arg(long, default_value_t = 5444)]
    dataverse_tls_port: u16,
    /// Contacts, roles and application users of the organization, as JSON.
    #[arg(long, value_name = "FILE")]
    dataverse_seed: Option<PathBuf>,
    /// Where to write the certificate that clients have to trust.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// A rule of the Service Bus dialect to break, for testing tests.
    #[arg(long = "break", value_name = "NAME")]
    breakage: Option<Breakage>,
    /// Take any Entra token, not only those that the local endpoint issued.
    #[arg(long)]
    any_entra_token: bool,
    /// What to log on standard error: a level, or a filter such as "info,hyper=debug".
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = "warn")]
    log: Targets,
}

/// The queue that is made if nothing else is asked for.
const DEFAULT_QUEUE: &str = "contacts";

fn start_log(filter: Targets) {
    registry().with(filter).with(fmt::layer().with_writer(std::io::stderr)).init();
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    start_log(arguments.log.clone());
    let ca = Ca::new()?;
    let graph = Arc::new(start_graph(&arguments, &ca).await?);
    let bus = start_bus(&arguments, &ca, &graph).await?;
    if let Some(path) = &arguments.ca_file {
        std::fs::write(path, bus.ca_pem()).with_context(|| format!("write {}", path.display()))?;
    }
    let dataverse = start_dataverse(&arguments, &ca, &graph, &bus).await?;
    print(&bus, &graph, &dataverse, &arguments);
    tokio::signal::ctrl_c().await.context("wait for Ctrl-C")?;
    bus.stop().await;
    Ok(())
}

async fn start_graph(arguments: &Arguments, ca: &Ca) -> anyhow::Result<Graph> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let seed = match &arguments.graph_seed {
        Some(path) => Seed::from_file(path)?,
        None => Seed::default(),
    };
    let options = emulator::graph::Options {
        seed,
        http: loopback(arguments.graph_port),
        https: loopback(arguments.graph_tls_port),
        throttle: arguments.graph_quota.map(Throttle::real_quota).unwrap_or_default(),
        ..emulator::graph::Options::default()
    };
    Graph::start_with_ca(options, ca).await.context("start Graph")
}

async fn start_bus(arguments: &Arguments, ca: &Ca, graph: &Arc<Graph>) -> anyhow::Result<ServiceBus> {
    let mut options = Options {
        port: arguments.amqp_port,
        tls_port: Some(arguments.tls_port),
        admin_port: arguments.admin_port,
        breakage: arguments.breakage,
        ..Options::default()
    };
    if let Some(path) = &arguments.config {
        options.entities = config::read(path).with_context(|| format!("use {}", path.display()))?;
    }
    for queue in &arguments.queues {
        options = options.queue(queue);
    }
    if options.entities.is_empty() {
        options = options.queue(DEFAULT_QUEUE);
    }
    options.access.entra = if arguments.any_entra_token {
        Entra::AnyJwt
    } else {
        let graph = Arc::clone(graph);
        Entra::checked(move |token| {
            let grant = graph.look_up_token(token, Audience::ServiceBus)?;
            let left = grant.expires.saturating_duration_since(tokio::time::Instant::now());
            (left > Duration::ZERO).then_some(left)
        })
    };
    ServiceBus::start_with_ca(options, ca).await.context("start Service Bus")
}

/// Its endpoints post to the Service Bus of this process, and nowhere else.
async fn start_dataverse(
    arguments: &Arguments,
    ca: &Ca,
    graph: &Arc<Graph>,
    bus: &ServiceBus,
) -> anyhow::Result<Dataverse> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let seed = match &arguments.dataverse_seed {
        Some(path) => dataverse::Seed::from_file(path)?,
        None => dataverse::Seed::default(),
    };
    let buses = vec![bus.poster()];
    let options = dataverse::Options {
        seed,
        http: loopback(arguments.dataverse_port),
        https: loopback(arguments.dataverse_tls_port),
        pipeline: dataverse::pipeline::Options { buses, ..dataverse::pipeline::Options::default() },
        ..dataverse::Options::default()
    };
    Dataverse::start(options, ca, graph).await.context("start Dataverse")
}

#[expect(clippy::print_stdout, reason = "addresses are for people and scripts to take from the output")]
fn print(bus: &ServiceBus, graph: &Graph, dataverse: &Dataverse, arguments: &Arguments) {
    let tenant = graph.tenant();
    println!("Service Bus");
    println!("  connection string  {}", bus.connection_string());
    println!("  over TLS           {}", bus.tls_connection_string().unwrap_or_default());
    println!("  health             {}/health", bus.admin_url());
    println!("  controls           {}/$emulator/", bus.admin_url());
    let names = bus.broker(|broker, _| {
        let names: Vec<String> = broker.entities().map(|(name, _, _)| name.to_owned()).collect();
        names.join(", ")
    });
    println!("  entities           {names}");
    println!("Graph");
    println!("  HTTP               {}", graph.http_url());
    println!("  HTTPS, authority   {}", graph.https_url());
    println!("  tenant             {} ({})", tenant.id, tenant.domain);
    println!("  client id          {DEFAULT_CLIENT_ID}");
    println!("  client secret      {DEFAULT_SECRET}");
    println!("Dataverse");
    println!("  plain              {}", dataverse.http_url());
    println!("  organization URL   {}", dataverse.https_url());
    println!("  organization id    {}", dataverse.options().organization);
    match &arguments.ca_file {
        Some(path) => {
            println!("Trust                {}", path.display());
            println!("\nSettings to paste into contactsync.toml:\n\n{}", settings(bus, graph, &names, path));
        }
        None => println!("With --ca-file FILE the settings to paste are printed, too."),
    }
    println!("Ctrl-C ends them.");
}

/// A settings file by which contactsync works with these services. Tokens come over HTTPS only.
fn settings(bus: &ServiceBus, graph: &Graph, entities: &str, ca: &Path) -> String {
    let queue = entities.split(", ").next().unwrap_or(DEFAULT_QUEUE);
    let ca = ca.canonicalize().unwrap_or_else(|_| ca.to_owned());
    format!(
        "[service_bus]\nconnection_string = \"{}\"\nqueue = \"{queue}\"\n\n[connection]\nca_file = '{}'\n\n[graph]\nroot = \
         \"{}\"\n\n[identity]\nauthority = \"{}\"\ntenant = \"{}\"\nclient_id = \"{DEFAULT_CLIENT_ID}\"\nclient_secret = \
         \"{DEFAULT_SECRET}\"\n\n[guard]\nattribute = \"extensionAttribute15\"\n",
        bus.connection_string(),
        ca.display(),
        graph.https_url(),
        graph.https_url(),
        graph.tenant().id,
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}

//! Topics: which subscription gets which copy.

use emulator::broker::{
    Broker, Correlation, EntityOptions, Error, Filter, Message, Rule, SqlAction, SqlFilter, Time,
};

const NOW: Time = Time::from_millis(1_000_000);

fn rule(filter: Filter) -> Rule {
    Rule { name: "r".to_owned(), filter, action: None }
}

fn labelled(label: &str) -> Message {
    let mut message = Message::default();
    message.properties.set_subject(label.to_owned());
    message
}

#[test]
fn each_subscription_gets_what_its_rules_let_in() -> Result<(), Box<dyn std::error::Error>> {
    let mut broker = Broker::new(1);
    broker.add_topic("t", EntityOptions::default(), NOW)?;
    let red = Correlation { label: Some("red".to_owned()), ..Correlation::default() };
    let sql = SqlFilter::parse("sys.Label LIKE 'r%'")?;
    let paint = SqlAction::parse("SET painted = true")?;
    for (name, rules) in [
        ("all", Vec::new()),
        ("none", vec![rule(Filter::False)]),
        ("red", vec![rule(Filter::Correlation(Box::new(red)))]),
        ("sql", vec![Rule { action: Some(paint), ..rule(Filter::Sql(sql)) }]),
    ] {
        broker.add_subscription("t", name, EntityOptions::default(), rules, NOW)?;
    }
    let topic = broker.resolve("t")?;
    broker.send(topic, ["red", "rose", "blue"].map(labelled).to_vec(), NOW)?;
    let labels = |name: &str| -> Result<Vec<String>, Error> {
        let target = broker.resolve(&format!("T/subscriptions/{name}"))?;
        let views = broker.contents(target)?;
        Ok(views.iter().filter_map(|view| view.message.properties.subject().map(str::to_owned)).collect())
    };
    assert_eq!(labels("all")?, ["red", "rose", "blue"]);
    assert!(labels("none")?.is_empty());
    assert_eq!(labels("red")?, ["red"]);
    assert_eq!(labels("sql")?, ["red", "rose"]);
    let painted = broker.contents(broker.resolve("t/Subscriptions/sql")?)?;
    assert!(painted.iter().all(|view| view.message.property("painted").is_some()));
    Ok(())
}

#[test]
fn rules_are_added_and_removed_by_name() -> Result<(), Error> {
    let mut broker = Broker::new(1);
    broker.add_topic("t", EntityOptions::default(), NOW)?;
    broker.add_subscription("t", "s", EntityOptions::default(), Vec::new(), NOW)?;
    let subscription = broker.resolve("t/subscriptions/s")?;
    broker.remove_rule(subscription, "$Default")?;
    broker.add_rule(subscription, rule(Filter::True))?;
    assert_eq!(broker.add_rule(subscription, rule(Filter::True)), Err(Error::AlreadyExists("r".to_owned())));
    assert_eq!(broker.remove_rule(subscription, "x"), Err(Error::RuleNotFound("x".to_owned())));
    assert_eq!(broker.rules(subscription)?.len(), 1);
    let topic = broker.resolve("t")?;
    assert!(broker.add_rule(topic, rule(Filter::True)).is_err());
    Ok(())
}

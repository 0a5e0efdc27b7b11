//! What a queue is filled with, the same for the same seed, and what must come of it.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use super::template::{Format, Template, Values};

/// A mix of messages.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Messages.
    pub messages: usize,
    /// Users they are spread over.
    pub users: usize,
    /// Exponent of Zipf: the k-th user has the weight 1/k^skew. 0: everybody alike, and one after the other.
    pub skew: f64,
    /// Share of messages about contacts that are no portal users.
    pub strangers: f64,
    /// Share of messages that nobody can read.
    pub poison: f64,
    /// Form of the bodies.
    pub format: Format,
    /// Bytes of text in a column that no mapping knows.
    pub filler: usize,
    /// Decides everything that is left to chance.
    pub seed: u64,
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            messages: 20_000,
            users: 20_000,
            skew: 0.0,
            strangers: 0.0,
            poison: 0.0,
            format: Format::Json,
            filler: 36,
            seed: 1,
        }
    }
}

/// One message.
#[derive(Clone, Debug)]
pub struct Post {
    /// Its body.
    pub body: Vec<u8>,
    /// Whom it changes, if anybody.
    pub user: Option<Uuid>,
}

/// All messages of a mix, in order. The values of message n end in n, so that what is written tells by which.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The messages.
    pub posts: Vec<Post>,
    /// The number of the newest message of each user who is changed.
    pub newest: BTreeMap<Uuid, usize>,
    /// Messages that must be dead-lettered.
    pub poisoned: usize,
    /// Users from this number on are those of other messages.
    others_from: usize,
}

impl Batch {
    /// Whether any message can be about this user.
    #[must_use]
    pub fn knows(&self, id: &Uuid) -> bool {
        self.newest.contains_key(id) || *id >= user(self.others_from)
    }
}

impl Mix {
    /// Makes the messages.
    #[must_use]
    pub fn batch(&self) -> Batch {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let template = Template::new(self.format, self.filler);
        let weights = self.weights();
        let mut batch = Batch { others_from: self.users, ..Batch::default() };
        for number in 0..self.messages {
            let index = if self.skew > 0.0 {
                let drawn = rng.random::<f64>() * weights.last().copied().unwrap_or(1.0);
                weights.partition_point(|weight| *weight < drawn).min(self.users - 1)
            } else {
                number % self.users
            };
            let stranger = rng.random_bool(self.strangers);
            let poison = rng.random_bool(self.poison);
            let mut post = post(&template, number, index, stranger);
            if poison {
                post.body.truncate(post.body.len() / 2);
                post.user = None;
                batch.poisoned += 1;
            }
            if let Some(user) = post.user {
                batch.newest.insert(user, number);
            }
            batch.posts.push(post);
        }
        batch
    }

    /// One message of that number, for the user of that one.
    pub(super) fn post(&self, number: usize, user: usize) -> Post {
        post(&Template::new(self.format, self.filler), number, user, false)
    }

    /// Sums of the weights.
    #[expect(clippy::cast_precision_loss, reason = "numbers of users are far below 2^52")]
    fn weights(&self) -> Vec<f64> {
        let weights = (1..=self.users).map(|place| (place as f64).powf(-self.skew));
        weights
            .scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect()
    }
}

fn post(template: &Template, number: usize, index: usize, stranger: bool) -> Post {
    let user = user(index);
    let link = if stranger { String::new() } else { user.to_string() };
    let body = template.body(&Values {
        number,
        contact: Uuid::from_u128(user.as_u128() ^ (1 << 100)),
        link: &link,
        mail: &mail(index, number),
        given_name: &given_name(number),
        surname: &surname(number),
    });
    Post { body, user: (!stranger).then_some(user) }
}

/// The id of a user.
#[must_use]
pub fn user(index: usize) -> Uuid {
    Uuid::from_u128(0x2222_2222_3333_4444_8555_0000_0000_0000 + index as u128)
}

fn mail(index: usize, number: usize) -> String {
    format!("user{index}+{number}@example.org")
}

fn given_name(number: usize) -> String {
    format!("Ada#{number}")
}

fn surname(number: usize) -> String {
    format!("Lovelace#{number}")
}

/// The number of the message that a value comes from.
#[must_use]
pub fn number_in(value: &str) -> Option<usize> {
    let after = value.rsplit_once(['#', '+'])?.1;
    after.split('@').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_tell_which_message_they_come_from() {
        for (value, number) in [
            (mail(3, 17), Some(17)),
            (given_name(18), Some(18)),
            (surname(0), Some(0)),
            ("Portal user".to_owned(), None),
        ] {
            assert_eq!(number_in(&value), number, "{value}");
        }
    }

    #[test]
    fn a_mix_is_as_described_and_the_same_again() {
        let mix =
            Mix { messages: 5_000, users: 100, skew: 1.0, strangers: 0.1, poison: 0.01, ..Mix::default() };
        let batch = mix.batch();
        let of = |index| batch.posts.iter().filter(|post| post.user == Some(user(index))).count();
        let strangers = batch.posts.iter().filter(|post| post.user.is_none()).count() - batch.poisoned;
        assert_eq!(batch.posts.len(), 5_000);
        assert!((400..600).contains(&strangers), "{strangers}");
        assert!((25..90).contains(&batch.poisoned), "{}", batch.poisoned);
        // The first of a hundred has a fifth of all, the tenth a tenth of that.
        assert!((700..1_000).contains(&of(0)) && (50..130).contains(&of(9)), "{} {}", of(0), of(9));
        assert!(mix.batch().posts.iter().zip(&batch.posts).all(|(a, b)| a.body == b.body));
    }
}

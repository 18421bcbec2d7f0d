//! What two texts differ in, as numbers that the verifier weighs; the same in either order.

use super::Question;
use super::words::{self, Kind, UNKNOWN};

/// Kinds of words that are compared one by one.
const COMPARED: [Kind; 9] = [
    Kind::Question,
    Kind::Time,
    Kind::Degree,
    Kind::Quantity,
    Kind::Joint,
    Kind::Person,
    Kind::Modal,
    Kind::Being,
    Kind::Place,
];

/// How many there are.
pub const SIGNS: usize = 28 + 2 * COMPARED.len();

/// More words than these are not looked at one by one: texts that differ in so many are no twins.
const MOST_LONE: usize = 24;
const MOST_NEAR: usize = 12;

/// The lemmas of a text, and those of them that are content.
struct Side {
    all: Vec<u32>,
    content: Vec<u32>,
    sorted: Vec<u32>,
}

impl Side {
    fn new(question: &Question) -> Self {
        let words = &question.reading.words;
        let content: Vec<u32> = words
            .iter()
            .filter(|&&word| words::kind(word) == Kind::Content)
            .map(|&word| words::lemma(word))
            .collect();
        let mut sorted = content.clone();
        sorted.sort_unstable();
        Self {
            all: words.iter().map(|&word| words::lemma(word)).collect(),
            content,
            sorted,
        }
    }

    fn weight(&self) -> f32 {
        self.content.iter().map(|&word| words::weight(word)).sum()
    }
}

/// What one side says and the other does not.
struct Lone {
    words: Vec<u32>,
    near: Vec<f32>,
}

impl Lone {
    fn new(words: Vec<u32>, others: &[u32]) -> Self {
        let others = &others[..others.len().min(MOST_LONE)];
        let near = words
            .iter()
            .take(MOST_NEAR)
            .map(|&word| {
                others
                    .iter()
                    .map(|&other| words::close(word, other))
                    .fold(0.0, f32::max)
            })
            .collect();
        Self { words, near }
    }

    /// How far each is from all that the other side says, by its weight.
    fn far(&self) -> impl Iterator<Item = f32> {
        let near = self.near.iter().copied().chain(std::iter::repeat(0.0));
        self.words
            .iter()
            .zip(near)
            .map(|(&word, near)| words::weight(word) * (1.0 - near))
    }

    fn weight(&self) -> f32 {
        self.words.iter().map(|&word| words::weight(word)).sum()
    }
}

/// Everything that the verifier weighs, but a second similarity.
#[must_use]
pub(super) fn signs(one: &Question, other: &Question) -> [f32; SIGNS] {
    let sides = [Side::new(one), Side::new(other)];
    let left = lone(&sides[0].sorted, &sides[1].sorted);
    let right = lone(&sides[1].sorted, &sides[0].sorted);
    let (alike, left, right) = if left <= right {
        paired(left, right)
    } else {
        let (alike, right, left) = paired(right, left);
        (alike, left, right)
    };
    let lones = [Lone::new(left, &sides[1].content), Lone::new(right, &sides[0].content)];
    let weights = [sides[0].weight(), sides[1].weight()];
    let share = |part: f32, whole: f32| if whole > 0.0 { 1.0 - part / whole } else { 1.0 };
    let shared = [
        share(lones[0].weight(), weights[0]),
        share(lones[1].weight(), weights[1]),
    ];
    let covered = [
        share(lones[0].far().sum(), weights[0]),
        share(lones[1].far().sum(), weights[1]),
    ];
    let worst = [lones[0].far().fold(0.0, f32::max), lones[1].far().fold(0.0, f32::max)];
    let single = match (&lones[0].words[..], &lones[1].words[..]) {
        (&[one], &[other]) => Some((one, other)),
        _ => None,
    };
    let (swaps, matched) = turned(&sides[0].content, &sides[1].content);
    let mut bags = [sides[0].all.clone(), sides[1].all.clone()];
    for bag in &mut bags {
        bag.sort_unstable();
    }
    let opposed = opposed(&lone(&bags[0], &bags[1]), &lone(&bags[1], &bags[0]));
    let (names, numbers) = (
        lone_counts(&one.reading.names, &other.reading.names),
        [one.reading.numbers.len(), other.reading.numbers.len()],
    );
    let lengths = [one.reading.words.len(), other.reading.words.len()];
    let lacking = [lones[0].words.len(), lones[1].words.len()];
    let (longest, shortest) = (lengths[0].max(lengths[1]), lengths[0].min(lengths[1]));
    let unknown = |lone: &Lone| lone.words.iter().filter(|&&word| word >= UNKNOWN).count();
    let head = [
        one.similarity(other),
        shared[0].min(shared[1]),
        shared[0].max(shared[1]),
        covered[0].min(covered[1]),
        covered[0].max(covered[1]),
        worst[0].max(worst[1]),
        worst[0].min(worst[1]),
        capped(lacking[0].max(lacking[1]), 6),
        capped(lacking[0].min(lacking[1]), 6),
        capped(alike, 6),
        flag(opposed),
        capped(sides[0].content.len().min(sides[1].content.len()), 12),
        swaps,
        capped(matched, 12),
        flag(bags[0] == bags[1]),
        capped(names[0].max(names[1]), 6),
        capped(names[0].min(names[1]), 6),
        flag(single.is_some()),
        single.map_or(0.0, |(one, other)| words::close(one, other)),
        flag(single.is_some_and(|(one, other)| words::file(one) == words::file(other) && words::file(one) != 0)),
        capped(shortest, usize::MAX) / capped(longest.max(1), usize::MAX),
        capped(longest, 40),
        flag(numbers[0] > 0 || numbers[1] > 0),
        flag(numbers[0] != numbers[1]),
        flag(one.reading.scopes != other.reading.scopes),
        capped(unknown(&lones[0]).max(unknown(&lones[1])), 6),
        capped(run(&sides[0].all, &sides[1].all), 12) / capped(longest.clamp(1, 12), 12),
    ];
    let mut all = [0.0; SIGNS];
    all[..head.len()].copy_from_slice(&head);
    let kinds = [of_kinds(one), of_kinds(other)];
    for (place, kind) in COMPARED.iter().enumerate() {
        let differ = lone_counts(&only(&kinds[0], *kind), &only(&kinds[1], *kind));
        all[head.len() + 2 * place] = capped(differ[0].max(differ[1]), 3);
        all[head.len() + 2 * place + 1] = capped(differ[0].min(differ[1]), 3);
    }
    all[SIGNS - 1] = flag(one.says_as(other));
    all
}

const fn flag(is: bool) -> f32 {
    if is { 1.0 } else { 0.0 }
}

fn capped(count: usize, most: usize) -> f32 {
    u16::try_from(count.min(most)).map_or(f32::from(u16::MAX), f32::from)
}

/// What the first has and the second has not, as often as it has it more; both are sorted.
fn lone(left: &[u32], right: &[u32]) -> Vec<u32> {
    let mut found = Vec::new();
    let mut at = 0;
    for &word in left {
        while right.get(at).is_some_and(|&other| other < word) {
            at += 1;
        }
        if right.get(at) == Some(&word) {
            at += 1;
        } else {
            found.push(word);
        }
    }
    found
}

fn lone_counts(left: &[u32], right: &[u32]) -> [usize; 2] {
    [lone(left, right).len(), lone(right, left).len()]
}

/// How many have a synonym on the other side, and what is left of both; who comes first may matter.
fn paired(left: Vec<u32>, mut right: Vec<u32>) -> (usize, Vec<u32>, Vec<u32>) {
    if left.len() > MOST_LONE || right.len() > MOST_LONE {
        return (0, left, right);
    }
    let before = left.len();
    let lacking: Vec<u32> = left
        .into_iter()
        .filter(
            |&word| match right.iter().position(|&other| words::alike(word, other)) {
                Some(place) => {
                    right.remove(place);
                    false
                }
                None => true,
            },
        )
        .collect();
    (before - lacking.len(), lacking, right)
}

fn opposed(left: &[u32], right: &[u32]) -> bool {
    let right = &right[..right.len().min(MOST_LONE)];
    left.iter()
        .take(MOST_LONE)
        .any(|&one| right.iter().any(|&other| words::opposed(one, other)))
}

/// The share of pairs of words, once in either text, that stand the other way round; and how many such words.
fn turned(left: &[u32], right: &[u32]) -> (f32, usize) {
    let once = |words: &[u32], word: u32| words.iter().filter(|&&other| other == word).count() == 1;
    let places: Vec<usize> = left
        .iter()
        .filter(|&&word| once(left, word) && once(right, word))
        .filter_map(|&word| right.iter().position(|&other| other == word))
        .take(MOST_LONE)
        .collect();
    let pairs = places.len() * places.len().saturating_sub(1) / 2;
    let wrong: usize = places
        .iter()
        .enumerate()
        .map(|(at, place)| places[at + 1..].iter().filter(|&later| later < place).count())
        .sum();
    let share = if pairs > 0 {
        capped(wrong, 300) / capped(pairs, 300)
    } else {
        0.0
    };
    (share, places.len())
}

/// How many words are the same from the beginning on and up to the end.
fn run(left: &[u32], right: &[u32]) -> usize {
    let most = left.len().min(right.len());
    let start = left.iter().zip(right).take_while(|(one, other)| one == other).count();
    let end = left
        .iter()
        .rev()
        .zip(right.iter().rev())
        .take(most - start)
        .take_while(|(one, other)| one == other)
        .count();
    start + end
}

/// A text's words that are no content, each once, with their kinds.
fn of_kinds(question: &Question) -> Vec<(Kind, u32)> {
    let mut found: Vec<(Kind, u32)> = question
        .reading
        .words
        .iter()
        .map(|&word| (words::kind(word), words::lemma(word)))
        .filter(|(kind, _)| *kind != Kind::Content)
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

fn only(words: &[(Kind, u32)], kind: Kind) -> Vec<u32> {
    words
        .iter()
        .filter(|(of, _)| *of == kind)
        .map(|(_, word)| *word)
        .collect()
}

//! Random histories of one output: runs that are interrupted at random, a resource that changes between them, and files
//! that somebody damages. After each run the output is whole or as it was, and exit 0 says which; after the last it is
//! whole.
//!
//! Where one fails, `DFGET_SEED` repeats it as far as chance allows: what is drawn is the same, what the scheduler does
//! is not. `make soak` plays many.

mod damage;
mod interruption;

use std::{
    collections::BTreeMap,
    fmt,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};

use fastrand::Rng;
use faultplug::Content;

use self::{damage::Damage, interruption::Interruption};
use crate::harness::{Digest, Run, TestEnv};

/// Histories in a run of the tests, where `DFGET_HISTORIES` does not say how many.
const HISTORIES: u64 = 30;

/// Most of them can be damaged and interrupted often in little time.
const MOST_BYTES: u64 = 4_000_000;

/// Some are shared among connections without being asked to, and recorded before they end.
const MANY_BYTES: u64 = 40_000_000;

/// Under one name there are few versions, so that an earlier one comes back now and then.
const VERSIONS: u64 = 2;

#[test]
fn whatever_happened_before_a_complete_output_is_the_right_one() {
    let number = |name| std::env::var(name).ok().map(|value| value.parse().expect("it is a number"));
    let seed = number("DFGET_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32));
    let histories = number("DFGET_HISTORIES").unwrap_or(HISTORIES);
    say(&format!("{histories} histories from DFGET_SEED={seed}"));
    let mut tally = Tally::default();
    for seed in seed..seed + histories {
        let mut history = History::new(seed);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| history.play())) {
            let story = history.story.join("\n  ");
            say(&format!("DFGET_SEED={seed} DFGET_HISTORIES=1 repeats the one that failed:\n  {story}"));
            resume_unwind(panic);
        }
        tally.add(&history.tally);
    }
    say(&tally.to_string());
}

/// What was done to the runs, and how they ended: an interruption may come too late, or not matter.
#[derive(Default)]
struct Tally {
    runs: u64,
    interrupted: u64,
    /// By the signal, or with the exit code.
    ends: BTreeMap<String, u64>,
}

impl Tally {
    fn count(&mut self, interruption: Interruption, run: &Run) {
        self.runs += 1;
        self.interrupted += u64::from(!matches!(interruption, Interruption::None));
        let end = run.code().map_or(format!("signal {}", run.signal().unwrap_or_default()), |code| code.to_string());
        *self.ends.entry(end).or_default() += 1;
    }

    fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.interrupted += other.interrupted;
        other.ends.iter().for_each(|(end, times)| *self.ends.entry(end.clone()).or_default() += times);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends: Vec<String> = self.ends.iter().map(|(end, times)| format!("{end}: {times}")).collect();
        write!(f, "{} runs, {} to be interrupted; they ended with {}", self.runs, self.interrupted, ends.join(", "))
    }
}

/// Not `eprintln!`, which the test harness keeps to itself where the test passes.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "\n{text}");
}

struct History {
    test: TestEnv,
    rng: Rng,
    versions: Vec<Content>,
    /// The one that is current.
    content: Content,
    arguments: Vec<String>,
    /// Part of the URL as it is shown, which stays.
    no_length: bool,
    has_digest: bool,
    /// Of the `.part` file, which nothing but a digest tells.
    flipped: bool,
    /// What was drawn, for whoever is to find the fault.
    story: Vec<String>,
    tally: Tally,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let most = if rng.u8(..8) == 0 { MANY_BYTES } else { MOST_BYTES };
        let versions: Vec<Content> = (1..=VERSIONS).map(|seed| Content { seed, size: size(&mut rng, most) }).collect();
        let arguments = arguments(&mut rng);
        let (no_length, has_digest) = (rng.u8(..8) == 0, rng.u8(..3) == 0);
        let story = vec![format!("dfget {} no length: {no_length}, digest: {has_digest}", arguments.join(" "))];
        let (test, content) = (TestEnv::new(), versions[0]);
        Self {
            test,
            rng,
            versions,
            content,
            arguments,
            no_length,
            has_digest,
            flipped: false,
            story,
            tally: Tally::default(),
        }
    }

    fn play(&mut self) {
        for _ in 0..self.rng.usize(1..=5) {
            if self.rng.bool() {
                self.content = self.versions[self.rng.usize(..self.versions.len())];
            }
            if self.rng.u8(..3) == 0 {
                let damage = Damage::draw(&mut self.rng, self.has_digest);
                self.story.push(format!("{damage:?}"));
                self.flipped |= damage.happen(&self.test, &mut self.rng);
            }
            let interruption = Interruption::draw(&mut self.rng, self.content.size);
            self.run(interruption);
        }
        if self.run(Interruption::None).code() == Some(30) {
            // The digest has told, and the `.part` is gone.
            self.run(Interruption::None);
        }
        assert_eq!(Digest::of_file(&self.test.work("file")), Some(Digest::of_content(self.content)));
    }

    fn run(&mut self, interruption: Interruption) -> Run {
        self.story.push(format!("{:?}, {interruption:?}", self.content));
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let deaths = self.test.path(&format!("deaths-{}", self.story.len()));
        let mut dfget =
            self.test.get(&self.url(interruption, &deaths)).good_may_write().args(&arguments).arg("--overwrite").last();
        if self.has_digest {
            dfget = dfget.arg("--digest").arg(format!("sha256:{}", Digest::of_content(self.content)));
        }
        let mut started = dfget.start();
        interruption.happen(&mut started, &deaths);
        let run = started.finish();
        self.tally.count(interruption, &run);
        self.check(&run, interruption);
        run
    }

    /// Beyond what holds after every run.
    fn check(&mut self, run: &Run, interruption: Interruption) {
        self.story.push(format!("{:?} {:?}, {:?} in .part: {}", run.code(), run.signal(), run.part, run.stderr));
        let told = self.flipped && run.code() == Some(30);
        assert!(told || interruption.explains(run), "{interruption:?} does not explain this: {}", run.stderr);
        if told {
            assert_eq!(run.part, None, "a damaged .part is left");
        }
        if told || run.is_success() {
            self.flipped = false;
        }
    }

    /// Shown it is the same for all versions and interruptions: values are hidden.
    fn url(&self, interruption: Interruption, deaths: &Path) -> String {
        let Content { seed, size } = self.content;
        let length = if self.no_length { "&no-length=" } else { "" };
        format!("good://h/file?size={size}&seed={seed}&{}{length}", interruption.query(deaths))
    }
}

fn size(rng: &mut Rng, most: u64) -> u64 {
    match rng.u8(..10) {
        0 => 0,
        1 => rng.u64(1..70_000),
        _ => rng.u64(1..=most),
    }
}

fn arguments(rng: &mut Rng) -> Vec<String> {
    let mut arguments = Vec::new();
    if rng.bool() {
        arguments.push(format!("--connections={}", rng.u8(1..=8)));
    }
    if rng.bool() {
        arguments.push(format!("--piece-length={}K", rng.u32(64..1500)));
    }
    for (one_in, argument) in [(4, "--no-fsync"), (4, "--no-preallocate"), (10, "--no-resume")] {
        if rng.u8(..one_in) == 0 {
            arguments.push(argument.to_owned());
        }
    }
    arguments
}

//! An admission by leases that hosts share: units that are there, and a question for more now and then.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use tollway_core::leases::{Answer, Told};
use tollway_core::limits::{Demand, Kind, LimitSet, Outcome, Rule};
use tollway_ledger::{Ledger, LedgerError};

const NOON_MS: u64 = 1_800_000_000_000;
const MINUTE_MS: u64 = 60_000;
const MUCH: u64 = 1 << 30;

fn three_rules() -> Option<Arc<LimitSet>> {
    let rule = |kind, window_ms| Rule {
        scope: "tenant:acme".into(),
        kind,
        limit: 1 << 40,
        window_ms,
    };
    let rules = vec![
        rule(Kind::Requests, MINUTE_MS),
        rule(Kind::Tokens, MINUTE_MS),
        rule(Kind::Concurrency, 0),
    ];
    LimitSet::new(rules).ok().map(|rules| Arc::new(rules.shared()))
}

/// Grants whatever is asked for, as a Redis that is no time away.
fn grant(ledger: &Ledger) -> Result<(), LedgerError> {
    while let Some(question) = ledger.question(None)? {
        ledger.remember(b"bench")?;
        let told = question.messages.iter().map(|message| {
            Some(Told {
                bucket: message.bucket,
                granted: message.told.last().map_or(0, |(_, amount)| *amount) + message.want.max(MUCH),
                free: MUCH,
                is_tight: false,
                is_met: true,
                retry_ms: 0,
            })
        });
        let answer = Answer {
            redis_ms: NOON_MS,
            hosts: 2,
            settling_ms: 0,
            told: told.collect(),
        };
        ledger.answered(&question, &answer, None)?;
    }
    Ok(())
}

fn live(ledger: &Ledger, limits: &Arc<LimitSet>) -> Result<bool, LedgerError> {
    let demand = Demand {
        requests: 1,
        input_tokens: 600,
        output_tokens: 300,
    };
    match ledger.admit(limits, demand, NOON_MS, None)? {
        Outcome::Admitted(mut admission) => {
            ledger.settle(&mut admission, 500, 100, NOON_MS)?;
            ledger.release(&mut admission)?;
            Ok(true)
        }
        Outcome::Refused(_) => Ok(false),
        Outcome::Short(_) => grant(ledger).map(|()| false),
    }
}

fn leases(criterion: &mut Criterion) {
    let path = PathBuf::from(format!("/dev/shm/tollway-bench-{}.leases", std::process::id()));
    let (Ok(ledger), Some(limits)) = (Ledger::open(&path, 65_536), three_rules()) else {
        return;
    };
    if ledger.begin_sharing(1, None).is_ok() && ledger.connect(true).is_ok() {
        let mut group = criterion.benchmark_group("leases");
        group.bench_function("admit, settle and release by three rules that hosts share", |bencher| {
            bencher.iter(|| live(&ledger, black_box(&limits)));
        });
        group.bench_function("look whether something is to be asked", |bencher| {
            bencher.iter(|| ledger.question(None));
        });
        group.finish();
    }
    for path in [path.clone(), path.with_extension("leases.lock")] {
        let _ = std::fs::remove_file(path);
    }
}

criterion_group!(benches, leases);
criterion_main!(benches);

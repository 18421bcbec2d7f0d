//! `tollway._native.leases`: what this host holds of limits that many hosts share.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tollway_core::leases::{self as core, Answer, Reign, Told};

use crate::errors::NativeError;
use crate::limits::{Ledger, Short};

/// The host's leases, in the ledger's file.
#[pyclass(frozen, module = "tollway._native.leases")]
struct Leases(Arc<tollway_ledger::Ledger>);

/// One round trip.
#[pyclass(frozen, module = "tollway._native.leases")]
struct Question(core::Question);

/// What `Question.messages` tells of one counter.
type Message = (String, u64, u64, u64, u64, u64, u64, u64, u64, Vec<u64>);

#[pymethods]
impl Question {
    #[getter]
    fn host(&self) -> String {
        format!("{:032x}", self.0.host)
    }

    #[getter]
    fn memory<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.memory)
    }

    #[getter]
    fn messages(&self) -> Vec<Message> {
        let messages = self.0.messages.iter();
        messages
            .map(|message| {
                let (width_ms, span) = match message.window_ms {
                    0 => (0, 0),
                    window_ms => (core::width_ms(window_ms), core::span(window_ms)),
                };
                (
                    format!("{:032x}", message.key),
                    message.window_ms,
                    width_ms,
                    span,
                    message.limit,
                    message.asked,
                    message.bucket,
                    message.need,
                    message.want,
                    message
                        .told
                        .iter()
                        .flat_map(|(bucket, amount)| [*bucket, *amount])
                        .collect(),
                )
            })
            .collect()
    }
}

/// What Redis answers of one counter: bucket, granted, free, whether tight, whether met, when to try again.
type Granted = Option<(u64, u64, u64, bool, bool, u64)>;

#[pymethods]
impl Leases {
    #[new]
    #[pyo3(signature = (ledger, /))]
    fn new(ledger: &Ledger) -> Self {
        Self(Arc::clone(&ledger.0))
    }

    #[pyo3(signature = (host, steady_ms=None))]
    fn begin(&self, host: &str, steady_ms: Option<u64>) -> Result<String, NativeError> {
        let host = u128::from_str_radix(host, 16)
            .map_err(|_| NativeError::Argument("a host is named by a number of 128 bits in hexadecimal".to_owned()))?;
        Ok(format!("{:032x}", self.0.begin_sharing(host, steady_ms)?))
    }

    fn connect(&self, connected: bool) -> Result<(), NativeError> {
        Ok(self.0.connect(connected)?)
    }

    #[pyo3(signature = (steady_ms=None))]
    fn question(&self, steady_ms: Option<u64>) -> Result<Option<Question>, NativeError> {
        Ok(self.0.question(steady_ms)?.map(Question))
    }

    #[pyo3(signature = (question, redis_ms, hosts, settling_ms, granted, steady_ms=None))]
    fn answered(
        &self,
        question: &Question,
        redis_ms: u64,
        hosts: u64,
        settling_ms: u64,
        granted: Vec<Granted>,
        steady_ms: Option<u64>,
    ) -> Result<(), NativeError> {
        let told = granted.into_iter().map(|granted| {
            granted.map(|(bucket, granted, free, is_tight, is_met, retry_ms)| Told {
                bucket,
                granted,
                free,
                is_tight,
                is_met,
                retry_ms,
            })
        });
        let answer = Answer {
            redis_ms,
            hosts,
            settling_ms,
            told: told.collect(),
        };
        Ok(self.0.answered(&question.0, &answer, steady_ms)?)
    }

    fn unanswered(&self, question: &Question) -> Result<(), NativeError> {
        Ok(self.0.unanswered(&question.0)?)
    }

    fn remember(&self, memory: &[u8]) -> Result<(), NativeError> {
        if memory.is_empty() || memory.len() > 32 || memory.contains(&0) {
            return Err(NativeError::Argument("a memory has a name of 1 to 32 bytes".to_owned()));
        }
        Ok(self.0.remember(memory)?)
    }

    fn is_answered(&self, short: &Short) -> Result<bool, NativeError> {
        Ok(self.0.is_answered(&short.0)?)
    }

    #[pyo3(signature = (steady_ms=None))]
    fn reign(&self, steady_ms: Option<u64>) -> Result<(&'static str, u64), NativeError> {
        let (reign, hosts) = self.0.reign(steady_ms)?;
        let name = match reign {
            Reign::Alone => "alone",
            Reign::Leased => "leased",
            Reign::Shared => "shared",
        };
        Ok((name, hosts))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Leases>()?;
    module.add_class::<Question>()
}

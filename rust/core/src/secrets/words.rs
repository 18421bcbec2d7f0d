//! The words of which names of secrets are made.

/// What a word of a name says of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing.
    Nothing,
    /// It is a password.
    Password,
    /// It is a secret.
    Secret,
    /// It is a key, of whatever kind.
    Key,
    /// A key of this is a secret: `api`, `private`.
    KeyOf,
    /// It belongs to this provider, whose keys have no form of their own.
    Provider,
    /// It is what keeps a session.
    Session,
    /// It is what a header says for authentication.
    Header,
    /// What follows is, whatever its name: `Bearer`.
    Scheme,
    /// What follows is, where `Authorization` stands before: `Basic`.
    Basic,
    /// A key or token of this is no secret: `public`, `csrf`.
    Refusal,
    /// The type of a variable.
    Type,
    /// What tells one secret from another: `prod`, `v2`.
    Suffix,
    /// `is`
    Is,
}

const PASSWORD: &str = "\
    contrasena kennwort pass passcode passphrase passwd password passwords passwort psw pw pwd senha";
const SECRET: &str = "\
    accesskey accesstoken apikey apikeys apisecret apitoken authkey authtoken cred credential credentials \
    creds jwt keysecret licensekey privatekey sas secret secretkey secrets token tokens";
const KEY: &str = "auth key keys pat salt sig";
const KEY_OF: &str = "\
    access account admin aes anon api app application client consumer deploy dev encryption hmac ingest insert \
    integration license live master personal private prod production project rest role sdk server service \
    shared signing ssh staging storage subscription test user webhook write";
const PROVIDER: &str = "\
    adafruit adobe airtable algolia alibaba anthropic artifactory asana atlassian aws azure beamer bintray \
    bitbucket bittrex cloudflare codecov cohere coinbase confluence confluent contentful datadog deepgram \
    deepseek discord dnkey droneci dropbox etsy facebook fastly finicity finnhub flickr freshbooks gemini \
    github gitlab gitter gocardless google groq heroku hubspot intercom jfrog jira kraken kucoin launchdarkly \
    linkedin lob looker mailchimp mailgun mapbox mattermost meraki messagebird mistral netlify newrelic npm \
    nytimes okta openai plaid privateai rapidapi sendbird sendgrid sentry shodan snyk sonar sourcegraph sonarqube \
    squarespace stripe sumologic supabase telegram travis trello twilio twitch twitter typeform vercel yandex \
    zendesk";
const SESSION: &str = "jsessionid phpsessid sessid session sessionid sid";
const HEADER: &str = "authorization";
const SCHEME: &str = "bearer";
const BASIC: &str = "basic bot digest";
const REFUSAL: &str = "\
    bos bucket cache cancellation column composite config continuation csrf dedupe dict eos foreign group hash \
    hot i idempotency idx index lookup map mask natural next object pad page pagination partition primary pub \
    public publishable reset routing row schema sequence sort special sync translation unique unk verification \
    xsrf";
const TYPE: &str = "\
    char chars const final let optional secretstr str string text val var varchar";
const SUFFIX: &str = "\
    b base current default development env hex login main new old one raw root stage two v value";
const IS: &str = "as is to was";

/// The longest word of the lists above.
const LONGEST: usize = 13;

/// All words.
#[derive(Debug)]
pub(super) struct Words {
    /// By their first letter.
    words: [Vec<(&'static [u8], Meaning)>; 26],
    /// For each first letter and length, whether there is a word.
    begins: [u32; 26],
}

impl Words {
    pub(super) fn new() -> Self {
        let lists = [
            (PASSWORD, Meaning::Password),
            (SECRET, Meaning::Secret),
            (KEY, Meaning::Key),
            (SESSION, Meaning::Session),
            (HEADER, Meaning::Header),
            (SCHEME, Meaning::Scheme),
            (BASIC, Meaning::Basic),
            (IS, Meaning::Is),
            (TYPE, Meaning::Type),
            (REFUSAL, Meaning::Refusal),
            (PROVIDER, Meaning::Provider),
            (KEY_OF, Meaning::KeyOf),
            (SUFFIX, Meaning::Suffix),
        ];
        let mut words = [const { Vec::new() }; 26];
        let mut begins = [0; 26];
        for (list, meaning) in lists {
            for word in list.split(' ').map(str::as_bytes) {
                let first = usize::from(word[0] - b'a');
                words[first].push((word, meaning));
                begins[first] |= 1 << word.len();
            }
        }
        Self { words, begins }
    }

    /// What `word` says, in any case.
    pub(super) fn meaning(&self, word: &[u8]) -> Meaning {
        let first = word.first().map_or(0, u8::to_ascii_lowercase);
        if !first.is_ascii_lowercase() {
            return Meaning::Nothing;
        }
        let first = usize::from(first - b'a');
        if word.len() > LONGEST || self.begins[first] >> word.len() & 1 == 0 {
            return Meaning::Nothing;
        }
        let mut lower = [0; LONGEST];
        let Some(lower) = lower.get_mut(..word.len()) else {
            return Meaning::Nothing;
        };
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        let known = self.words[first].iter().find(|(known, _)| *known == lower);
        known.map_or(Meaning::Nothing, |(_, meaning)| *meaning)
    }

    /// Whether `word` alone names a secret.
    pub(super) fn is_secret(&self, word: &[u8]) -> bool {
        matches!(self.meaning(word), Meaning::Password | Meaning::Secret | Meaning::Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_stands_twice_or_is_longer_than_is_looked_up() {
        let words = Words::new();
        let mut all: Vec<&[u8]> = words.words.iter().flatten().map(|(word, _)| *word).collect();
        all.sort_unstable();
        for pair in all.windows(2) {
            assert_ne!(pair[0], pair[1], "{:?}", str::from_utf8(pair[0]));
        }
        for word in all {
            assert!((1..=LONGEST).contains(&word.len()), "{:?}", str::from_utf8(word));
            assert!(word.iter().all(u8::is_ascii_lowercase), "{:?}", str::from_utf8(word));
        }
    }

    #[test]
    fn words_are_known_in_any_case() {
        let words = Words::new();
        assert_eq!(words.meaning(b"PASSWORD"), Meaning::Password);
        assert_eq!(words.meaning(b"Token"), Meaning::Secret);
        assert_eq!(words.meaning(b"keyboard"), Meaning::Nothing);
        assert_eq!(words.meaning(b"a_much_longer_word_than_any"), Meaning::Nothing);
    }
}

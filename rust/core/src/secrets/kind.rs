//! The kinds of secrets, and their names in configuration and reports.

macro_rules! kinds {
    ($($variant:ident $name:literal $about:literal,)+) => {
        /// A kind of secret. Several rules may share one: what matters is whose secret it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Kind {
            $(#[doc = concat!($about, ".")] $variant,)+
        }

        impl Kind {
            /// Every kind, in the order of their names.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in configuration and reports: `aws_access_key_id`, `github_token`, `private_key`…
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What the kind holds, as a phrase for the documentation.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)+ }
            }
        }
    };
}

kinds! {
    AdobeKey "adobe_key" "Adobe client secrets",
    AdyenKey "adyen_key" "Adyen API keys",
    AgeSecretKey "age_secret_key" "Secret keys of age",
    AirtableToken "airtable_token" "Airtable personal access tokens",
    AlibabaAccessKey "alibaba_access_key" "Alibaba Cloud access key ids",
    AnthropicKey "anthropic_key" "Anthropic keys and OAuth tokens",
    ArtifactoryToken "artifactory_token" "JFrog Artifactory keys and reference tokens",
    AsanaToken "asana_token" "Asana personal access tokens",
    AtlassianToken "atlassian_token" "Atlassian API tokens",
    AuthorizationHeader "authorization_header" "What an Authorization header, or a curl command, sends for authentication",
    AuthressKey "authress_key" "Authress service clients' keys",
    AwsAccessKeyId "aws_access_key_id" "AWS access key ids",
    AwsBedrockKey "aws_bedrock_key" "Amazon Bedrock API keys",
    AwsMwsToken "aws_mws_token" "Amazon Marketplace Web Service tokens",
    AwsSecretAccessKey "aws_secret_access_key" "AWS secret access keys beside their name",
    AzureClientSecret "azure_client_secret" "Microsoft Entra (Azure AD) client secrets",
    AzureDevopsToken "azure_devops_token" "Azure DevOps personal access tokens",
    AzureKey "azure_key" "Keys of Azure services, also in connection strings",
    BaiduKey "baidu_key" "Baidu Cloud API keys",
    BeamerToken "beamer_token" "Beamer API tokens",
    BitbucketToken "bitbucket_token" "Bitbucket app passwords and access tokens",
    BrevoKey "brevo_key" "Brevo (Sendinblue) API and SMTP keys",
    BuildkiteToken "buildkite_token" "Buildkite API and agent tokens",
    CerebrasKey "cerebras_key" "Cerebras API keys",
    CircleciToken "circleci_token" "CircleCI personal and project tokens",
    ClickhouseKey "clickhouse_key" "ClickHouse Cloud API keys",
    ClickupToken "clickup_token" "ClickUp API tokens",
    ClojarsToken "clojars_token" "Clojars deploy tokens",
    CloudflareKey "cloudflare_key" "Cloudflare origin CA keys",
    ConfluentSecret "confluent_secret" "Confluent Cloud API secrets",
    ConnectionString "connection_string" "User and password in a database's or broker's URL, passwords in connection strings",
    ContentfulToken "contentful_token" "Contentful management tokens",
    Cookie "cookie" "Session cookies",
    CratesToken "crates_token" "crates.io API tokens",
    DatabricksToken "databricks_token" "Databricks tokens",
    DatadogKey "datadog_key" "Datadog keys",
    DefinedNetworkingKey "defined_networking_key" "Defined Networking API keys",
    DenoToken "deno_token" "Deno Deploy tokens",
    DigitaloceanToken "digitalocean_token" "DigitalOcean tokens and Spaces keys",
    DiscordToken "discord_token" "Discord bot tokens",
    DiscordWebhook "discord_webhook" "Discord webhook addresses",
    DockerToken "docker_token" "Docker Hub access tokens",
    DopplerToken "doppler_token" "Doppler tokens",
    DropboxToken "dropbox_token" "Dropbox access tokens",
    DuffelToken "duffel_token" "Duffel API tokens",
    DynatraceToken "dynatrace_token" "Dynatrace tokens",
    E2bKey "e2b_key" "E2B API keys",
    EasypostKey "easypost_key" "EasyPost keys",
    ElevenlabsKey "elevenlabs_key" "ElevenLabs API keys",
    FacebookToken "facebook_token" "Facebook and Instagram access tokens",
    FigmaToken "figma_token" "Figma personal access tokens",
    FirecrawlKey "firecrawl_key" "Firecrawl API keys",
    FireworksKey "fireworks_key" "Fireworks AI API keys",
    FlutterwaveKey "flutterwave_key" "Flutterwave keys",
    FlyToken "fly_token" "Fly.io access tokens",
    FrameioToken "frameio_token" "Frame.io API tokens",
    GenericSecret "generic_secret" "Random values beside a key word, such as `token`, `secret` or `api_key`",
    GithubToken "github_token" "GitHub tokens of every kind",
    GitlabToken "gitlab_token" "GitLab tokens of every kind",
    GocardlessToken "gocardless_token" "GoCardless access tokens",
    GoogleApiKey "google_api_key" "Google API keys",
    GoogleOauth "google_oauth" "Google OAuth client secrets, access and refresh tokens",
    GoogleStorageKey "google_storage_key" "Google Cloud Storage HMAC key ids",
    GrafanaToken "grafana_token" "Grafana API keys, service account and cloud tokens",
    GroqKey "groq_key" "Groq API keys",
    HarnessKey "harness_key" "Harness access tokens",
    HerokuKey "heroku_key" "Heroku API keys",
    HoneycombKey "honeycomb_key" "Honeycomb ingest keys",
    HubspotToken "hubspot_token" "HubSpot private app tokens",
    HuggingfaceToken "huggingface_token" "Hugging Face tokens",
    InfracostKey "infracost_key" "Infracost API keys",
    IntercomToken "intercom_token" "Intercom access tokens",
    Intra42Secret "intra42_secret" "42 school client secrets",
    JinaKey "jina_key" "Jina AI API keys",
    Jwt "jwt" "JSON web tokens, signed or encrypted, also in base64",
    LangfuseKey "langfuse_key" "Langfuse secret keys",
    LangsmithKey "langsmith_key" "LangSmith API keys",
    LaunchdarklyKey "launchdarkly_key" "LaunchDarkly SDK keys and API tokens",
    LinearKey "linear_key" "Linear API keys",
    LlamacloudKey "llamacloud_key" "LlamaCloud API keys",
    LobKey "lob_key" "Lob API keys",
    MailchimpKey "mailchimp_key" "Mailchimp and Mandrill API keys",
    MailersendKey "mailersend_key" "MailerSend API tokens",
    MailgunKey "mailgun_key" "Mailgun keys",
    MapboxToken "mapbox_token" "Mapbox tokens",
    MaxmindKey "maxmind_key" "MaxMind license keys",
    ModalToken "modal_token" "Modal token ids and secrets",
    ModelProviderKey "model_provider_key" "Keys that begin with `sk-`, as most model providers issue them",
    MollieKey "mollie_key" "Mollie API keys",
    MongodbAtlasSecret "mongodb_atlas_secret" "MongoDB Atlas service account secrets",
    NeonKey "neon_key" "Neon API keys",
    NetlifyToken "netlify_token" "Netlify tokens",
    NewrelicKey "newrelic_key" "New Relic keys",
    NotionToken "notion_token" "Notion integration tokens",
    NpmToken "npm_token" "npm access tokens",
    NugetKey "nuget_key" "NuGet API keys",
    NvidiaKey "nvidia_key" "NVIDIA API keys",
    OctopusKey "octopus_key" "Octopus Deploy API keys",
    OnepasswordKey "onepassword_key" "1Password secret keys and service account tokens",
    OpenaiKey "openai_key" "OpenAI keys",
    OpenrouterKey "openrouter_key" "OpenRouter keys",
    OpenshiftToken "openshift_token" "OpenShift user tokens",
    PaddleKey "paddle_key" "Paddle API keys",
    Password "password" "Passwords beside their name",
    PerplexityKey "perplexity_key" "Perplexity API keys",
    PineconeKey "pinecone_key" "Pinecone API keys",
    PlaidToken "plaid_token" "Plaid access tokens",
    PlanetscaleToken "planetscale_token" "PlanetScale passwords and tokens",
    PosthogKey "posthog_key" "PostHog personal API keys",
    PostmanKey "postman_key" "Postman API keys",
    PrefectKey "prefect_key" "Prefect API keys",
    PrivateKey "private_key" "Private keys: PEM of every kind, OpenPGP, PuTTY",
    PulumiToken "pulumi_token" "Pulumi access tokens",
    PypiToken "pypi_token" "PyPI upload tokens",
    RazorpayKey "razorpay_key" "Razorpay key ids",
    ReadmeKey "readme_key" "ReadMe API keys",
    RenderKey "render_key" "Render API keys",
    ReplicateToken "replicate_token" "Replicate API tokens",
    ResendKey "resend_key" "Resend API keys",
    RubygemsKey "rubygems_key" "RubyGems API keys",
    RunpodKey "runpod_key" "RunPod API keys",
    SalesforceToken "salesforce_token" "Salesforce access tokens",
    ScalingoToken "scalingo_token" "Scalingo API tokens",
    SendgridKey "sendgrid_key" "SendGrid API keys",
    SentryToken "sentry_token" "Sentry tokens",
    SettlemintToken "settlemint_token" "SettleMint tokens",
    ShippoToken "shippo_token" "Shippo API tokens",
    ShopifyToken "shopify_token" "Shopify tokens and shared secrets",
    SlackToken "slack_token" "Slack tokens of every kind",
    SlackWebhook "slack_webhook" "Slack webhook addresses",
    SnykToken "snyk_token" "Snyk tokens",
    SonarToken "sonar_token" "SonarQube tokens",
    SourcegraphToken "sourcegraph_token" "Sourcegraph access tokens",
    SquareToken "square_token" "Square access tokens and application secrets",
    StatsigKey "statsig_key" "Statsig server secrets",
    StripeKey "stripe_key" "Stripe secret and restricted keys, webhook secrets",
    SupabaseKey "supabase_key" "Supabase access tokens and secret keys",
    TailscaleKey "tailscale_key" "Tailscale keys",
    TavilyKey "tavily_key" "Tavily API keys",
    TeamsWebhook "teams_webhook" "Microsoft Teams webhook addresses",
    TelegramToken "telegram_token" "Telegram bot tokens",
    TencentKey "tencent_key" "Tencent Cloud secret ids",
    TerraformToken "terraform_token" "HCP Terraform tokens",
    TogetherKey "together_key" "Together AI keys",
    TollwayKey "tollway_key" "Tollway's own keys",
    TrelloToken "trello_token" "Trello tokens",
    TwilioKey "twilio_key" "Twilio API keys",
    TwitchToken "twitch_token" "Twitch chat tokens",
    TwitterToken "twitter_token" "Twitter (X) bearer tokens",
    TypeformToken "typeform_token" "Typeform tokens",
    UrlCredentials "url_credentials" "User and password in any other URL",
    VaultToken "vault_token" "HashiCorp Vault tokens",
    VercelToken "vercel_token" "Vercel tokens",
    VkToken "vk_token" "VK access tokens",
    VolcengineKey "volcengine_key" "Volcano Engine access key ids",
    VoyageKey "voyage_key" "Voyage AI API keys",
    WakatimeKey "wakatime_key" "WakaTime API keys",
    WandbKey "wandb_key" "Weights & Biases API keys",
    XaiKey "xai_key" "xAI keys",
    YandexKey "yandex_key" "Yandex Cloud keys and tokens",
}

impl Kind {
    /// The label of findings of this kind.
    #[must_use]
    pub const fn label(self) -> u16 {
        self as u16
    }

    /// The kind that a label stands for, if it is one of ours.
    #[must_use]
    pub fn of(label: u16) -> Option<Self> {
        Self::ALL.get(usize::from(label)).copied()
    }
}

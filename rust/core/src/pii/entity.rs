//! The kinds of personal data, their names, and sets of them.

/// Declares each entity once: its meaning, its name in configuration and reports, and what stands in its place.
macro_rules! entities {
    ($($(#[doc = $meaning:literal])+ $entity:ident $name:literal $placeholder:literal,)+) => {
        /// A kind of personal data.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Entity {
            $($(#[doc = $meaning])+ $entity,)+
        }

        impl Entity {
            /// Every entity.
            pub const ALL: [Self; COUNT] = [$(Self::$entity),+];

            /// The name in configuration and reports: `email`, `credit_card`, `us_ssn`…
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$entity => $name,)+
                }
            }

            /// What stands in the text instead of the value: `[EMAIL]`, `[CREDIT_CARD]`…
            #[must_use]
            pub const fn placeholder(self) -> &'static str {
                match self {
                    $(Self::$entity => $placeholder,)+
                }
            }

            /// What it is, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$entity => concat!($($meaning),+).trim_ascii(),)+
                }
            }
        }

        const COUNT: usize = [$($name),+].len();
    };
}

entities! {
    /// An e-mail address.
    Email "email" "[EMAIL]",
    /// A payment card number.
    CreditCard "credit_card" "[CREDIT_CARD]",
    /// A United States social security number.
    UsSsn "us_ssn" "[US_SSN]",
    /// A telephone number.
    Phone "phone" "[PHONE]",
    /// An international bank account number.
    Iban "iban" "[IBAN]",
    /// An IP address, version 4 or 6.
    Ip "ip" "[IP]",
    /// A hardware address of a network card.
    MacAddress "mac_address" "[MAC_ADDRESS]",
    /// An address of Bitcoin or Ethereum.
    Crypto "crypto" "[CRYPTO]",
    /// A date of birth, told as one.
    DateOfBirth "date_of_birth" "[DATE_OF_BIRTH]",
    /// The user and password in a URL.
    UrlCredentials "url_credentials" "[URL_CREDENTIALS]",
    /// A United States individual taxpayer identification number.
    UsItin "us_itin" "[US_ITIN]",
    /// A United States passport number.
    UsPassport "us_passport" "[US_PASSPORT]",
    /// A driver's licence number of one of the United States.
    UsDriverLicense "us_driver_license" "[US_DRIVER_LICENSE]",
    /// A United States bank account number.
    UsBankNumber "us_bank_number" "[US_BANK_NUMBER]",
    /// A United States bank routing number (ABA).
    AbaRoutingNumber "aba_routing_number" "[ABA_ROUTING_NUMBER]",
    /// A United States national provider identifier (health care).
    UsNpi "us_npi" "[US_NPI]",
    /// A United States Medicare beneficiary identifier.
    UsMbi "us_mbi" "[US_MBI]",
    /// A United States licence to prescribe controlled drugs (DEA number).
    MedicalLicense "medical_license" "[MEDICAL_LICENSE]",
    /// A British health service number.
    UkNhs "uk_nhs" "[UK_NHS]",
    /// A British national insurance number.
    UkNino "uk_nino" "[UK_NINO]",
    /// A British passport number.
    UkPassport "uk_passport" "[UK_PASSPORT]",
    /// A British driving licence number.
    UkDrivingLicence "uk_driving_licence" "[UK_DRIVING_LICENCE]",
    /// A British postcode.
    UkPostcode "uk_postcode" "[UK_POSTCODE]",
    /// A British vehicle registration.
    UkVehicleRegistration "uk_vehicle_registration" "[UK_VEHICLE_REGISTRATION]",
    /// A German tax identification number.
    DeTaxId "de_tax_id" "[DE_TAX_ID]",
    /// A German tax number of a tax office.
    DeTaxNumber "de_tax_number" "[DE_TAX_NUMBER]",
    /// A German pension insurance number.
    DeSocialSecurity "de_social_security" "[DE_SOCIAL_SECURITY]",
    /// A German passport number.
    DePassport "de_passport" "[DE_PASSPORT]",
    /// A German identity card number.
    DeIdCard "de_id_card" "[DE_ID_CARD]",
    /// A German health insurance number.
    DeHealthInsurance "de_health_insurance" "[DE_HEALTH_INSURANCE]",
    /// A German physician's number.
    DeLanr "de_lanr" "[DE_LANR]",
    /// A German medical practice's number.
    DeBsnr "de_bsnr" "[DE_BSNR]",
    /// A German VAT number.
    DeVatId "de_vat_id" "[DE_VAT_ID]",
    /// A German driving licence number.
    DeFuehrerschein "de_fuehrerschein" "[DE_FUEHRERSCHEIN]",
    /// An entry in the German commercial register.
    DeHandelsregister "de_handelsregister" "[DE_HANDELSREGISTER]",
    /// A German vehicle registration.
    DeKfz "de_kfz" "[DE_KFZ]",
    /// A German postcode.
    DePlz "de_plz" "[DE_PLZ]",
    /// A French social security number.
    FrNir "fr_nir" "[FR_NIR]",
    /// A Spanish tax and identity number.
    EsNif "es_nif" "[ES_NIF]",
    /// A Spanish identity number of foreigners.
    EsNie "es_nie" "[ES_NIE]",
    /// A Spanish passport number.
    EsPassport "es_passport" "[ES_PASSPORT]",
    /// An Italian fiscal code.
    ItFiscalCode "it_fiscal_code" "[IT_FISCAL_CODE]",
    /// An Italian VAT number.
    ItVatCode "it_vat_code" "[IT_VAT_CODE]",
    /// An Italian driving licence number.
    ItDriverLicense "it_driver_license" "[IT_DRIVER_LICENSE]",
    /// An Italian identity card number.
    ItIdentityCard "it_identity_card" "[IT_IDENTITY_CARD]",
    /// An Italian passport number.
    ItPassport "it_passport" "[IT_PASSPORT]",
    /// A Polish personal number.
    PlPesel "pl_pesel" "[PL_PESEL]",
    /// A Polish tax number.
    PlNip "pl_nip" "[PL_NIP]",
    /// An Indian identity number.
    InAadhaar "in_aadhaar" "[IN_AADHAAR]",
    /// An Indian tax account number.
    InPan "in_pan" "[IN_PAN]",
    /// An Indian goods and services tax number.
    InGstin "in_gstin" "[IN_GSTIN]",
    /// An Indian voter's number.
    InVoter "in_voter" "[IN_VOTER]",
    /// An Indian passport number.
    InPassport "in_passport" "[IN_PASSPORT]",
    /// An Indian vehicle registration.
    InVehicleRegistration "in_vehicle_registration" "[IN_VEHICLE_REGISTRATION]",
    /// An Australian tax file number.
    AuTfn "au_tfn" "[AU_TFN]",
    /// An Australian business number.
    AuAbn "au_abn" "[AU_ABN]",
    /// An Australian company number.
    AuAcn "au_acn" "[AU_ACN]",
    /// An Australian Medicare number.
    AuMedicare "au_medicare" "[AU_MEDICARE]",
    /// A Singaporean identity number of residents or foreigners.
    SgNricFin "sg_nric_fin" "[SG_NRIC_FIN]",
    /// A Singaporean number of companies and other entities.
    SgUen "sg_uen" "[SG_UEN]",
    /// A Brazilian taxpayer number of persons.
    BrCpf "br_cpf" "[BR_CPF]",
    /// A Brazilian taxpayer number of companies.
    BrCnpj "br_cnpj" "[BR_CNPJ]",
    /// A Korean resident number.
    KrRrn "kr_rrn" "[KR_RRN]",
    /// A Korean number of registered foreigners.
    KrFrn "kr_frn" "[KR_FRN]",
    /// A Korean business number.
    KrBrn "kr_brn" "[KR_BRN]",
    /// A Korean passport number.
    KrPassport "kr_passport" "[KR_PASSPORT]",
    /// A Korean driving licence number.
    KrDriverLicense "kr_driver_license" "[KR_DRIVER_LICENSE]",
    /// A Thai identity number.
    ThTnin "th_tnin" "[TH_TNIN]",
    /// A Turkish identity number.
    TrNationalId "tr_national_id" "[TR_NATIONAL_ID]",
    /// A Turkish vehicle registration.
    TrLicensePlate "tr_license_plate" "[TR_LICENSE_PLATE]",
    /// A Swedish personal number.
    SePersonnummer "se_personnummer" "[SE_PERSONNUMMER]",
    /// A Swedish number of companies and other entities.
    SeOrganisationsnummer "se_organisationsnummer" "[SE_ORGANISATIONSNUMMER]",
    /// A Finnish personal code.
    FiPersonalIdentityCode "fi_personal_identity_code" "[FI_PERSONAL_IDENTITY_CODE]",
    /// A Nigerian identity number.
    NgNin "ng_nin" "[NG_NIN]",
    /// A Nigerian vehicle registration.
    NgVehicleRegistration "ng_vehicle_registration" "[NG_VEHICLE_REGISTRATION]",
    /// A South African identity number.
    ZaIdNumber "za_id_number" "[ZA_ID_NUMBER]",
    /// A Canadian social insurance number.
    CaSin "ca_sin" "[CA_SIN]",
    /// A Philippine taxpayer number.
    PhTin "ph_tin" "[PH_TIN]",
    /// A Mexican population registry code.
    MxCurp "mx_curp" "[MX_CURP]",
    /// A Mexican taxpayer code.
    MxRfc "mx_rfc" "[MX_RFC]",
    /// A Dutch citizen service number.
    NlBsn "nl_bsn" "[NL_BSN]",
    /// A Belgian national number.
    BeNationalNumber "be_national_number" "[BE_NATIONAL_NUMBER]",
    /// A Portuguese taxpayer number.
    PtNif "pt_nif" "[PT_NIF]",
    /// A Swiss social insurance number.
    ChAhv "ch_ahv" "[CH_AHV]",
    /// An Austrian social insurance number.
    AtSocialSecurity "at_social_security" "[AT_SOCIAL_SECURITY]",
    /// A Danish personal number.
    DkCpr "dk_cpr" "[DK_CPR]",
    /// A Norwegian birth number.
    NoFodselsnummer "no_fodselsnummer" "[NO_FODSELSNUMMER]",
    /// An Irish personal public service number.
    IePps "ie_pps" "[IE_PPS]",
    /// A Chinese resident identity number.
    CnIdCard "cn_id_card" "[CN_ID_CARD]",
    /// A Japanese individual number.
    JpMyNumber "jp_my_number" "[JP_MY_NUMBER]",
    /// A Hong Kong identity card number.
    HkIdCard "hk_id_card" "[HK_ID_CARD]",
    /// A Taiwanese identity number.
    TwNationalId "tw_national_id" "[TW_NATIONAL_ID]",
}

impl Entity {
    /// The entity of that name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|entity| entity.name() == name)
    }

    /// The entity that a finding's label stands for.
    pub(super) fn labelled(label: u16) -> Option<Self> {
        Self::ALL.get(usize::from(label)).copied()
    }
}

/// A set of entities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entities(u128);

impl Entities {
    /// Every entity.
    pub const ALL: Self = Self((1 << COUNT) - 1);

    /// Whether `entity` is in the set.
    #[must_use]
    pub const fn contains(self, entity: Entity) -> bool {
        self.0 & (1 << entity as u8) != 0
    }

    /// Whether there is any entity in it but those that are known by an `@`.
    pub(super) const fn has_numbers(self) -> bool {
        self.0 & !(1 << Entity::Email as u8 | 1 << Entity::UrlCredentials as u8) != 0
    }
}

impl FromIterator<Entity> for Entities {
    fn from_iter<I: IntoIterator<Item = Entity>>(entities: I) -> Self {
        Self(entities.into_iter().fold(0, |bits, entity| bits | 1 << entity as u8))
    }
}

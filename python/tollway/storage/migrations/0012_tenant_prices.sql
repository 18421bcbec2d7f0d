-- What a tenant pays otherwise than listed, in the words of the gateways (tollway.contract.prices.TenantPrices): rates
-- are whole pico-dollars, so that nothing is rounded on the way. null: the listed prices.

alter table tenants add column prices jsonb;

create trigger stamp_prices before update of prices on tenants
    for each row execute function stamp_update();
create trigger announce_prices after update of prices on tenants
    for each row execute function announce_tenant();

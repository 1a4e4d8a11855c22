-- Nothing to take back: full_name itself goes with 002, and emptying it here would empty the old columns through
-- the triggers. The statement matches no row.
UPDATE users SET full_name = full_name WHERE 1 = 0;

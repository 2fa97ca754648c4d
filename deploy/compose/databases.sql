-- The period keys lie in a database of their own: its backups live 30 days at most.
CREATE DATABASE liucun_keys OWNER liucun ENCODING 'UTF8' TEMPLATE template0;
